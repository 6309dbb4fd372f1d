/* Peerlane's initiator for C and for what can call C: open a logical unit of an iSCSI target by its URL, and read and
 * write it.
 *
 *     peerlane_disk *disk;
 *     if (peerlane_open("iscsi://host/iqn.2026-11.dev.example:store/0", NULL, &disk) < 0) {
 *       fprintf(stderr, "%s\n", peerlane_error_text());
 *       ...
 *     }
 *     peerlane_pread(disk, buffer, 4096, 0);
 *     peerlane_close(disk);
 *
 * Calls wait for their end. A disk may be used from any number of threads at the same time, whose requests are then
 * under way together; it has one thread of its own, in which all work for it is done. Threads do not survive fork(): a
 * child opens its own disks. Two requests that overlap, at least one of them a write, have no order unless one of them
 * has returned before the other begins.
 *
 * Errors: functions that return int (or int64_t) return a negative errno value when they fail, and what they return
 * otherwise is not negative. peerlane_error_text() then has a sentence for people. Arguments that can be seen to be
 * wrong (NULL, a range that is not on the disk, unknown flags) are -EINVAL. A disk that was closed must not be used.
 *
 * A lost connection is no error: requests wait until there is a new one, for `replacement_timeout_ms` at most.
 *
 * Structures begin with their size, so that programs which were compiled with an older or newer version of this header
 * work with any libpeerlane.so.1: what a program does not know of is as it was, what a library does not know of is
 * refused if it is not zero. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The version of this interface: the first number changes when programs must be changed, and is that of the library's
 * name; the second one when something is added. */
#define PEERLANE_API_MAJOR 1
#define PEERLANE_API_MINOR 0

#define PEERLANE_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* A disk that is open. */
typedef struct peerlane_disk peerlane_disk;

/* Flags of peerlane_options. */
#define PEERLANE_READ_ONLY 0x1u /* changes are refused with -EROFS */

/* How a disk is opened. Texts are copied; NULL and 0 mean "as usual", so a program sets what it wants to say only:
 *
 *     peerlane_options options = PEERLANE_OPTIONS_INIT;
 *     options.flags = PEERLANE_READ_ONLY; */
typedef struct peerlane_options {
  size_t struct_size;              /* sizeof(peerlane_options) */
  uint32_t flags;                  /* PEERLANE_READ_ONLY and others */
  uint32_t queue_depth;            /* commands of a session in flight, 1 to 1024; usually 128 */
  uint32_t replacement_timeout_ms; /* requests wait so long for a lost connection to come back, then they fail; usually
                                      120000 */
  const char* initiator_name;      /* our iSCSI name; usually PEERLANE_INITIATOR_NAME of the environment, or one made of
                                      the host's name */
  const char* chap_user;           /* CHAP: who we are, and our secret; both or none. Usually those of the URL, else
                                      PEERLANE_CHAP_USER and PEERLANE_CHAP_SECRET or PEERLANE_CHAP_SECRET_FILE */
  const char* chap_secret;         /* 12 to 255 bytes */
  const char* target_chap_user;   /* who the target must prove to be; needs chap_user. Usually PEERLANE_TARGET_CHAP_USER
                                     and its like */
  const char* target_chap_secret; /* 12 to 255 bytes, another one */
} peerlane_options;

/* Options that say nothing. */
#define PEERLANE_OPTIONS_INIT {sizeof(peerlane_options), 0, 0, 0, NULL, NULL, NULL, NULL, NULL}

/* Opens the logical unit that `url` names: iscsi://[user[%password]@]host[:port]/target-name/lun[?key=value&...], with
 * keys header_digest and data_digest (none, accept, prefer, require), paths=all (use all paths to the logical unit that
 * the portal tells of) and sessions=N (through each portal). `options` may be NULL. Returns 0 and sets *disk,
 * which is to be closed with peerlane_close(); otherwise *disk is NULL.
 *
 * Errors: -EINVAL, the URL or an option is wrong; -ENOENT, there is no such host or target; -ECONNREFUSED, -ETIMEDOUT
 * and other errors of connecting; -EACCES, the login was refused; -ENODEV, the target has no such logical unit;
 * -ENOTBLK, it is not a disk; -ENOSYS or -EPERM, this system offers no io_uring. */
PEERLANE_API int peerlane_open(const char* url, const peerlane_options* options, peerlane_disk** disk);

/* Logs out, ends the disk's thread and frees it, whatever is returned: no other call for `disk` may be under way or
 * follow. Data that were written are not flushed by this; see peerlane_flush(). NULL is ignored. */
PEERLANE_API int peerlane_close(peerlane_disk* disk);

/* What a disk can do (peerlane_info). */
#define PEERLANE_CAN_WRITE 0x1u        /* it is not read-only */
#define PEERLANE_CAN_DISCARD 0x2u      /* peerlane_discard() */
#define PEERLANE_CAN_ZERO 0x4u         /* peerlane_zero(): without moving data */
#define PEERLANE_CAN_EXTENTS 0x8u      /* peerlane_extents() */
#define PEERLANE_HAS_WRITE_CACHE 0x10u /* what was written may be lost in a power failure until peerlane_flush() */
#define PEERLANE_CAN_FUA 0x20u         /* a write with PEERLANE_FUA is cheaper than a write and a flush */

/* What a disk is. */
typedef struct peerlane_info {
  size_t struct_size;           /* sizeof(peerlane_info), set by the caller */
  uint64_t size;                /* bytes */
  uint32_t block_size;          /* bytes; offsets and lengths are multiples of it */
  uint32_t physical_block_size; /* bytes; a power-of-two multiple of block_size; whoever writes less may be slower */
  uint32_t capabilities;        /* PEERLANE_CAN_WRITE and others */
  uint32_t discard_granularity; /* bytes; smaller pieces are not discarded; 0: unknown or none */
  char identity[256];           /* the same on every path to this logical unit and after every restart, such as
                                   "naa.6001405a0b1c2d3e"; empty: it does not say */
} peerlane_info;

/* An info that is to be filled in. */
#define PEERLANE_INFO_INIT {sizeof(peerlane_info), 0, 0, 0, 0, 0, ""}

/* Fills in `info`, as much of it as struct_size has room for. Returns 0. */
PEERLANE_API int peerlane_get_info(peerlane_disk* disk, peerlane_info* info);

/* Its size in bytes, as it was when it was opened, or when peerlane_refresh_size() last returned 1. */
PEERLANE_API int64_t peerlane_size(peerlane_disk* disk);

/* Takes over a size that the target has told meanwhile, and asks it again for the next call. Returns 1 if the size has
 * changed, 0 if not. */
PEERLANE_API int peerlane_refresh_size(peerlane_disk* disk);

/* Flags of requests. */
#define PEERLANE_FUA 0x1u         /* on stable storage when the call returns */
#define PEERLANE_MAY_DISCARD 0x2u /* peerlane_zero(): the range need not keep its space */

/* Reads and writes `count` bytes, all of them or none that can be relied on; there are no short transfers. `offset` and
 * `count` are multiples of the block size and within the disk; `buffer` may lie anywhere and is used in place. `flags`
 * of a write: PEERLANE_FUA or 0. Return 0. Errors: -EROFS, the disk is read-only; -ENOSPC, its thin provisioned space
 * is exhausted; -EIO and others, as the target answers; those of a connection that does not come back. */
PEERLANE_API int peerlane_pread(peerlane_disk* disk, void* buffer, size_t count, uint64_t offset);
PEERLANE_API int peerlane_pwrite(peerlane_disk* disk, const void* buffer, size_t count, uint64_t offset,
                                 uint32_t flags);

/* Brings every write that has returned before this call to stable storage. Returns 0. */
PEERLANE_API int peerlane_flush(peerlane_disk* disk);

/* Gives the range's space back as far as the disk can; blocks that it gives back read as zeroes. `offset` and `length`
 * as above; any length, which may become several commands. Returns 0. Errors: as peerlane_pwrite(); -ENOTSUP without
 * PEERLANE_CAN_DISCARD. */
PEERLANE_API int peerlane_discard(peerlane_disk* disk, uint64_t offset, uint64_t length);

/* Makes the range read as zeroes. `flags`: PEERLANE_MAY_DISCARD, PEERLANE_FUA. Returns 0. Errors: as peerlane_pwrite();
 * -ENOTSUP without PEERLANE_CAN_ZERO: then zeroes are to be written. */
PEERLANE_API int peerlane_zero(peerlane_disk* disk, uint64_t offset, uint64_t length, uint32_t flags);

/* A run of blocks in the same state. */
typedef struct peerlane_extent {
  uint64_t offset;    /* bytes */
  uint64_t length;    /* bytes */
  uint32_t allocated; /* 1: it has data or space; 0: it reads as zeroes and has no space */
  uint32_t reserved;  /* 0 */
} peerlane_extent;

/* The states of the blocks from `offset` on, in order and without gaps, until `length` bytes are covered or `most`
 * extents are found. Returns their number, at least 1 unless `length` or `most` is 0. Errors: -ENOTSUP without
 * PEERLANE_CAN_EXTENTS. */
PEERLANE_API int peerlane_extents(peerlane_disk* disk, uint64_t offset, uint64_t length, peerlane_extent* extents,
                                  size_t most);

/* What was wrong with the last call that failed in this thread, as a sentence without secrets; never NULL. Valid until
 * this thread's next call that fails. */
PEERLANE_API const char* peerlane_error_text(void);

/* The library's version, such as "0.1.0". */
PEERLANE_API const char* peerlane_version(void);

#ifdef __cplusplus
}
#endif
