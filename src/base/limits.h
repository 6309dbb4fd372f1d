// Every limit of Peerlane, in one place. Reaching one is an answer (an iSCSI Reject, a login status, TASK SET FULL, a
// sentence to the user), never a surprise. docs/architecture.md has the table with what happens at each.
//
// Sizes are bytes, times are std::chrono durations, and the rest are counts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace peerlane::limits {

using namespace std::chrono_literals;

// --- Memory and queues of one reactor ---
inline constexpr unsigned kRingEntries = 1024;                 // submission queue of a reactor's io_uring
inline constexpr std::size_t kReceiveBufferBytes = 64u << 10;  // one provided receive buffer
inline constexpr unsigned kReceiveBuffers = 64;                // provided receive buffers of a reactor; a power of two
inline constexpr unsigned kBackgroundThreads = 32;             // system calls that block, under way of a reactor
inline constexpr unsigned kStreamReceiveBacklog = 8;           // receive buffers that one stream may hold unread
inline constexpr std::size_t kPoolBytes = 512u << 20;          // data buffers of a reactor, grown on demand
inline constexpr std::size_t kPoolSharesPart = 2;  // a half of it is the most that those have who hold several MiB each
inline constexpr std::size_t kPoolAsidePart = 4;   // a quarter of it is for data that nobody has asked for yet
inline constexpr std::size_t kPoolRegisteredBytes =
    8u << 20;                                             // of these, registered with io_uring when the system lets us
inline constexpr std::size_t kMaxBufferBytes = 1u << 20;  // one data buffer
inline constexpr std::size_t kSendQueuePdus = 2048;       // PDUs a connection may have waiting to be sent
inline constexpr unsigned kSendVectors = 256;             // iovecs of one sendmsg

// --- iSCSI: one connection, one session, one target ---
inline constexpr std::uint32_t kMaxRecvDataSegmentLength = 256u << 10;  // what we declare
inline constexpr std::uint32_t kMaxBurstLength = 1u << 20;              // what we offer at most
inline constexpr std::uint32_t kFirstBurstLength = 256u << 10;          // what we offer at most
inline constexpr std::uint32_t kMaxOutstandingR2T = 8;                  // what we offer at most, per task
inline constexpr std::uint32_t kLoginTextBytes =
    64u << 10;                              // text of one login or text negotiation (RFC 7143 §6.1: 64 KiB)
inline constexpr unsigned kLoginPdus = 64;  // Login requests of one login phase
inline constexpr unsigned kTextKeys = 256;  // keys of one negotiation
inline constexpr unsigned kSendTargetsBytes = 1u << 20;        // a SendTargets answer
inline constexpr std::uint32_t kCommandWindow = 128;           // MaxCmdSN - ExpCmdSN + 1 of an idle session
inline constexpr unsigned kImmediateCommands = 16;             // immediate requests in progress per session
inline constexpr std::size_t kSessionBufferBytes = 16u << 20;  // data buffers that one session may hold
inline constexpr unsigned kAhsBytes = 255 * 4;                 // TotalAHSLength is one byte of four-byte words
inline constexpr unsigned kSessions = 4096;                    // sessions of a server, all targets
inline constexpr unsigned kLoginsPending = 512;                // connections that have not finished login
inline constexpr unsigned kUnitAttentions = 16;                // queued unit attentions per I_T_L nexus
inline constexpr unsigned kLuns = 256;                         // LUNs of a target
inline constexpr unsigned kPortalGroups = 256;                 // portal groups of a server
inline constexpr unsigned kThreads = 256;                      // reactors of a server
inline constexpr std::size_t kMinChapSecretBytes = 12;         // RFC 7143 §9.2.1: 96 bits
inline constexpr std::size_t kMaxChapSecretBytes = 255;
inline constexpr std::size_t kConfigurationBytes = 4u << 20;  // a configuration file
inline constexpr std::size_t kStateValueBytes = 4u << 20;  // a text that is kept across restarts (docs/state-files.md)
inline constexpr std::size_t kStateKeyBytes = 200;         // its name

// --- Time ---
inline constexpr auto kLoginTimeout = 15s;    // from accept to full feature phase
inline constexpr auto kNopInterval = 10s;     // silence of an initiator until we send a NOP-In
inline constexpr auto kNopTimeout = 60s;      // NOP-In without an answer until the connection is dropped; there are
                                              // initiators that are asleep for a minute (libiscsi's tests)
inline constexpr auto kSendTimeout = 30s;     // no progress of a send until the connection is dropped
inline constexpr auto kDataOutTimeout = 60s;  // solicited data that does not come until the task is ended
inline constexpr auto kDiscoveryIdle = 60s;   // silence of a discovery session until it is closed
inline constexpr auto kLogoutTimeout = 5s;  // graceful stop: our asynchronous logout request to the initiator's Logout
inline constexpr auto kAbortGrace = 2s;     // a task management function waits so long for the backend
inline constexpr auto kStopMargin = 2s;     // after these two, a stop that is not done gives up
// What a killed program still holds is waited for, since the kernel takes its time to take that from it:
inline constexpr auto kPredecessorWait = 1s;        // so long by a command
inline constexpr auto kServerPredecessorWait = 5s;  // so long by a server that starts, which says so after
inline constexpr auto kPredecessorNotice = 1s;      // this
inline constexpr auto kGrowthPoll = 2s;             // how often served disks are looked at for a new size

// --- Initiator ---
inline constexpr unsigned kLookups = 16;                       // host names that are being looked up, of a process
inline constexpr unsigned kSendTargetsKeys = 64u << 10;        // names and addresses of a SendTargets answer
inline constexpr unsigned kRedirections = 4;                   // "target moved" answers that one login follows
inline constexpr unsigned kInitiatorQueueDepth = 128;          // commands of a session in flight, if nothing is said
inline constexpr unsigned kMostInitiatorQueueDepth = 1024;     // the most that may be asked for
inline constexpr unsigned kInitiatorWaiting = 1u << 16;        // commands of a session that wait for their turn
inline constexpr unsigned kUnsolicitedPdus = 64;               // Data-Out PDUs of one command without an R2T
inline constexpr unsigned kTimeoutRetries = 1;                 // a command that timed out is tried again so often
inline constexpr unsigned kAbortedRetries = 8;                 // one that the target aborted, or refused for a while
inline constexpr unsigned kAttentionRetries = 2 * 16 + 2;      // one that met a unit attention
inline constexpr std::size_t kInitiatorPieceBytes = 1u << 20;  // a longer read or write becomes several commands
inline constexpr unsigned kInitiatorPieces = 8;                // of these in flight, of one read or write
inline constexpr auto kConnectTimeout = 10s;                   // lookup and connection
inline constexpr auto kCommandTimeout = 30s;                   // a command without an answer is aborted
inline constexpr auto kTaskFunctionTimeout = 10s;              // a task management function without an answer
inline constexpr auto kInitiatorNopInterval = 5s;              // silence of a target until we send a NOP-Out
inline constexpr auto kInitiatorNopTimeout = 5s;               // silence after it until the connection is dropped
inline constexpr auto kReconnectLeast = 100ms;                 // first wait between two attempts to log in again
inline constexpr auto kReconnectMost = 10s;                    // the longest one
inline constexpr auto kReplacementTimeout = 120s;              // commands wait so long for a new connection
inline constexpr auto kBusyTimeout = 30s;                      // they are tried again so long after BUSY
inline constexpr std::chrono::milliseconds kBusyLeast = 5ms;   // first wait after BUSY and TASK SET FULL
inline constexpr std::chrono::milliseconds kBusyMost = 500ms;  // the longest one

// --- Several paths to a logical unit ---
inline constexpr std::size_t kPaths = 32;
inline constexpr unsigned kSessionsPerPortal = 8;                 // to one logical unit
inline constexpr std::size_t kPathCandidates = 64;                // places that are looked at for further paths
inline constexpr std::size_t kPathLuns = 64;                      // logical units of another target that are looked at
inline constexpr std::chrono::milliseconds kPathTimeout = 500ms;  // a lost connection's commands go on elsewhere then
inline constexpr auto kPathCheck = 1s;                            // between two questions for the access states
inline constexpr auto kPathCheckTimeout = 5s;                     // and for their answer
inline constexpr std::chrono::milliseconds kPathLook = 50ms;      // between two looks at a path's session

// --- Ways into the initiator for others ---
inline constexpr std::size_t kNbdExtents = 1024;    // of one answer to an NBD client, which asks again for the rest
inline constexpr std::size_t kCStructBytes = 4096;  // a structure of a program that is newer than the library

inline constexpr std::chrono::microseconds kMaxPoll = 10ms;  // how long a reactor may look for work before it sleeps

// --- Filters of disks: cache, throttle ---
inline constexpr std::uint64_t kCacheBytes = 256u << 20;     // the cache of all disks, where nothing else is said
inline constexpr std::uint64_t kLeastCacheBytes = 8u << 20;  // smaller ones are refused
inline constexpr std::uint64_t kMostCacheBytes = std::uint64_t{1} << 40;
inline constexpr std::size_t kCacheFillBytes = 256u << 10;      // one read from the device on behalf of the cache
inline constexpr std::uint64_t kReadAheadBytes = 1u << 20;      // how far ahead, where nothing else is said
inline constexpr std::uint64_t kMostReadAheadBytes = 8u << 20;  // larger ones are refused
inline constexpr unsigned kReadAheadStreams = 16;               // sequential readers that are told apart, per disk
inline constexpr unsigned kReadAheadFills = 32;                 // reads ahead under way, per disk
inline constexpr std::size_t kWriteOutBytes = 256u << 10;       // one write of dirty pages
inline constexpr unsigned kWriteOutDepth = 4;                   // of these under way, per task that writes out
inline constexpr auto kWriteOutAge = 1s;                 // dirty pages stay in memory so long, unless there are many
inline constexpr auto kCloseTimeout = 60s;               // at the end: dirty pages to the device
inline constexpr auto kThrottleWait = 3s;                // an I/O that would have to wait longer is answered with BUSY
inline constexpr std::uint64_t kMostIops = 100'000'000;  // a limit of a disk
inline constexpr std::uint64_t kLeastBandwidth = 64u << 10;              // bytes a second: a limit of a disk
inline constexpr std::uint64_t kMostBandwidth = std::uint64_t{1} << 40;  // the same
inline constexpr unsigned kFaultRules = 64;                              // injected errors of a disk
inline constexpr std::uint64_t kMostDelayMicroseconds = 60'000'000;      // an injected delay

// --- Copies ---
inline constexpr std::size_t kCopyRequestBytes = kMaxBufferBytes;  // one read or write, where nothing else is said
inline constexpr std::size_t kLeastCopyRequestBytes = 16u << 10;   // smaller ones are refused
inline constexpr unsigned kFirstCopyDepth = 4;    // pieces under way at the beginning, until it shows how many are best
inline constexpr unsigned kMostCopyDepth = 64;    // more are refused
inline constexpr unsigned kDirectCopyDepth = 16;  // where others than this host move the data
inline constexpr std::chrono::milliseconds kDepthStep = 40ms;     // at least so long the rate of a depth is measured
inline constexpr unsigned kDepthPieces = 4;                       // and until so many times the depth have been moved
inline constexpr std::chrono::milliseconds kDepthRest = 300ms;    // from one trial of other depths to the next,
inline constexpr std::chrono::milliseconds kMostDepthRest = 10s;  // twice as long each time, at most
inline constexpr std::uint64_t kCopyZeroBytes = 256u << 20;       // one request that makes zeroes without data
inline constexpr std::size_t kCopyZeroCell = 16u << 10;           // zeroes in data are looked for in units of this
inline constexpr std::uint64_t kCloneBytes = 64u << 20;           // one request to share blocks
inline constexpr std::uint64_t kNvmeCopyBytes = 64u << 20;        // by Copy commands one after the other
inline constexpr std::uint64_t kServerCopyBytes = 64u << 20;      // one copy_file_range(2)
inline constexpr unsigned kDirectThreads = 4;                     // requests of these kinds under way, per copy
inline constexpr auto kDirectWaysAge = 5s;                        // what was found out about two disks is good so long
inline constexpr std::size_t kDirectWaysKept = 64;                // pairs of disks of which that is remembered
inline constexpr std::uint64_t kPeerMemoryBytes = 8u << 20;       // peer memory of one copy
inline constexpr std::size_t kPeerRequestBytes = 512u << 10;      // one transfer through it
inline constexpr std::size_t kLeastPeerRequestBytes = 64u << 10;  // with less memory there is no such copy
inline constexpr std::size_t kPeerProbeBytes = 64u << 10;         // the first transfer, which is read back
inline constexpr unsigned kPeerErrors = 8;                        // transfers that fail before no more are tried
inline constexpr std::size_t kCopyReasons = 8;                    // different reasons for a longer way that are told
inline constexpr std::size_t kPlanExtents = 1024;                 // extents of a plan that are known at a time
inline constexpr auto kJournalInterval = 5s;                      // between two entries of a copy's journal
inline constexpr std::size_t kJournalBytes = 64u << 10;           // a journal
inline constexpr std::uint64_t kLeastCopyRate = 64u << 10;        // bytes a second: a limit of a copy
inline constexpr std::uint64_t kMostCopyRate = std::uint64_t{1} << 40;  // the same

// --- Third-party copies ---
inline constexpr std::uint16_t kCopyCscds = 64;                       // CSCD descriptors of one parameter list
inline constexpr std::uint16_t kCopySegments = 256;                   // segment descriptors of one
inline constexpr std::uint32_t kCopyDescriptorBytes = 16u << 10;      // all of them together
inline constexpr std::uint8_t kCopies = 16;                           // copy operations of an I_T nexus under way
inline constexpr std::size_t kCopyResults = 64;                       // of which results are kept, per I_T nexus
inline constexpr unsigned kUnitCopyDepth = 8;                         // requests of a unit's copies under way
inline constexpr std::size_t kUnitCopyRequestBytes = 256u << 10;      // one of them
inline constexpr std::chrono::milliseconds kCopyLook = 5ms;           // between two looks whether it is to end,
inline constexpr std::chrono::milliseconds kMostCopyLook = 50ms;      // the longer it takes, the longer
inline constexpr std::chrono::milliseconds kCopyPassWait = 200ms;     // of a direct way, for other commands' blocks
inline constexpr std::size_t kTokens = 256;                           // ROD tokens of a target
inline constexpr std::size_t kInitiatorTokens = 64;                   // of these, asked for by one initiator
inline constexpr std::uint16_t kTokenRanges = 256;                    // range descriptors of one token, or of its use
inline constexpr std::uint64_t kTokenBytes = std::uint64_t{4} << 30;  // what one stands for, or one use writes
inline constexpr std::uint64_t kOptimalTokenBytes = 1u << 30;         // what initiators are told to ask for
inline constexpr std::chrono::seconds kTokenInactivity = 60s;         // INACTIVITY TIMEOUT if nothing else is asked for
inline constexpr std::chrono::seconds kMostTokenInactivity = 600s;    //
inline constexpr std::chrono::seconds kTokenMemory = 600s;            // of why a token has ended
inline constexpr std::chrono::seconds kTokenLifetime = 3600s;         // from its making

// --- Third-party copies as who asks for them sees them ---
inline constexpr std::size_t kCopyLogTextBytes = 240;               // a text in the log page about copies
inline constexpr std::size_t kCopyLogWays = 16;                     // ways in it
inline constexpr unsigned kCopyForecasts = 4;                       // units of which one LOG SENSE tells how they go
inline constexpr std::uint64_t kThirdPartyBytes = 1u << 30;         // that a target is asked at a time to copy
inline constexpr unsigned kThirdPartyDepth = 4;                     // such requests under way, per copy
inline constexpr unsigned kThirdPartyRefusals = 4;                  // after so many no more are made, per copy
inline constexpr unsigned kTokenRemakes = 3;                        // new tokens for data that change, per request
inline constexpr unsigned kThirdPartyTries = 3;                     // of one whose connection is lost
inline constexpr std::chrono::seconds kThirdPartyTimeout = 300s;    // one without an answer is aborted after this,
inline constexpr std::uint64_t kThirdPartyRate = 1u << 20;          // and a second for each of so many bytes
inline constexpr std::chrono::milliseconds kThirdPartyAsk = 500ms;  // between two questions how far one is

// --- Copies from and to other targets ---
inline constexpr std::size_t kPeers = 64;                         // targets that copies may go to; one session each
inline constexpr std::size_t kPeerLuns = 256;                     // logical units of one that are looked at
inline constexpr auto kPeerFindTimeout = 6s;                      // to find a logical unit
inline constexpr auto kPeerConnectTimeout = 3s;                   // to one of them
inline constexpr auto kPeerLoginTimeout = 3s;                     // there
inline constexpr auto kPeerPause = 1s;                            // after a login that failed, before the next one
inline constexpr auto kPeerNopInterval = 2s;                      // its silence until we send a NOP-Out
inline constexpr auto kPeerNopTimeout = 2s;                       // silence after it until the connection is dropped
inline constexpr auto kPeerReplacement = 5s;                      // a copy waits so long for a new connection
inline constexpr auto kPeerReconnectMost = 1s;                    // between two attempts to log in again
inline constexpr auto kPeerIdle = 60s;                            // without a copy: the session is closed
inline constexpr std::size_t kSharedDiskSamples = 8;              // places where a disk is compared with a peer's unit
inline constexpr std::size_t kSharedDiskSampleBytes = 64u << 10;  // each of them

// --- The bus ---
inline constexpr std::size_t kSysfsFileBytes = 4096;       // of a file in sysfs; longer ones are cut
inline constexpr std::size_t kSysfsEntries = 64u << 10;    // names in one directory of sysfs
inline constexpr std::size_t kTopologyProblems = 64;       // sentences about what could not be understood
inline constexpr std::size_t kBlockLayers = 32;            // block devices on top of each other
inline constexpr std::size_t kMountTableBytes = 1u << 20;  // /proc/self/mountinfo
inline constexpr std::size_t kTopologyDisks = 64;          // disks of which each pair is judged

// --- Load ---
inline constexpr unsigned kBenchDepth = 1024;                                    // I/Os of a session under way
inline constexpr unsigned kBenchSessions = 256;                                  // sessions of one run
inline constexpr std::size_t kBenchBlockBytes = 64u << 20;                       // one I/O
inline constexpr std::uint64_t kBenchMemory = std::uint64_t{4} << 30;            // data buffers of all I/Os under way
inline constexpr std::uint64_t kBenchMarkedBlocks = std::uint64_t{1} << 33;      // blocks that a run may verify
inline constexpr std::uint64_t kBenchSeconds = std::uint64_t{7} * 24 * 60 * 60;  // a run, where time limits it
inline constexpr std::size_t kRawTransferBytes = 16u << 20;                      // data of a command given as bytes

// --- Disks attached to this host ---
inline constexpr unsigned kAttachQueues = 4;                    // one per processor, but no more, if nothing is said
inline constexpr unsigned kMostAttachQueues = 64;               // the most that may be asked for
inline constexpr unsigned kAttachDepth = 128;                   // requests of a queue under way, if nothing is said
inline constexpr unsigned kMostAttachDepth = 1024;              // the most that may be asked for
inline constexpr std::uint32_t kAttachIoBytes = 512u << 10;     // one read or write; the kernel splits longer ones
inline constexpr std::uint32_t kAttachDiscardBytes = 1u << 30;  // one discard, one write of zeroes; likewise
inline constexpr auto kUblkTimeout = 60s;                       // a command to ublk without an answer
inline constexpr std::chrono::milliseconds kUblkLook = 20ms;    // between two looks at a device that is not ready yet
inline constexpr auto kUblkPredecessorWait = 2s;  // start: so long for a killed server to let go of its device

// --- SCSI ---
inline constexpr std::size_t kMaxTransferBytes = 32u << 20;       // one command (MAXIMUM TRANSFER LENGTH, SBC-4 §6.6.4)
inline constexpr std::size_t kOptimalTransferBytes = 256u << 10;  // OPTIMAL TRANSFER LENGTH
inline constexpr std::size_t kMaxUnmapBytes = 1u << 30;           // MAXIMUM UNMAP LBA COUNT, as bytes
inline constexpr unsigned kMaxUnmapDescriptors = 256;             // MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT
inline constexpr std::size_t kMaxLbaStatusDescriptors = 128;      // of one GET LBA STATUS
inline constexpr std::uint32_t kMaxUnmapBlocks = 1u << 20;  // MAXIMUM UNMAP LBA COUNT, where kMaxUnmapBytes allows more
inline constexpr std::size_t kMaxWriteSameBytes = 1u << 30;  // MAXIMUM WRITE SAME LENGTH, as bytes
inline constexpr std::size_t kMaxVerifyBytes = 256u << 20;   // VERIFY: what VERIFY(10) can name in blocks of 4096 bytes
inline constexpr std::size_t kVerifyPieceBytes = 64u
                                                 << 10;  // bytes of one comparison, kept besides the session's buffers
inline constexpr std::size_t kMaxCompareBytes =
    512u << 10;  // COMPARE AND WRITE: one half of its data; both have to fit a data buffer
inline constexpr std::size_t kMaxAtomicBytes = 1u << 20;     // WRITE ATOMIC: what fits a data buffer
inline constexpr std::size_t kMaxPrefetchBytes = 64u << 20;  // PRE-FETCH: more does not fit, and nothing is done
inline constexpr std::size_t kTurnBytes = 8u << 20;   // a command on a disk that answers at once goes on for so long
                                                      // before it lets others have their turn
inline constexpr auto kSanitizeLeast = 5s;            // a sanitize operation takes at least so long
inline constexpr std::size_t kRegistrations = 1024;   // persistent reservation keys of a logical unit
inline constexpr std::size_t kIdentifierBytes = 512;  // peripheral device identifying information (SPC-4 §5.6)
inline constexpr std::size_t kIdentifierTextBytes = 256;  // peripheral device text identifying information, with NUL
inline constexpr std::size_t kMaxCdbBytes = 260;          // extended CDBs (SPC-4 §4.2.4)
inline constexpr std::size_t kMaxParameterListBytes = 64u << 10;  // a parameter list sent with a command

}  // namespace peerlane::limits
