/* Writes a pattern to the first MiB of a disk that may be overwritten, reads it back, and shows what the disk is.
 *
 *     scratch iscsi://host/target-name/lun
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peerlane/peerlane.h>

enum { LENGTH = 1 << 20 };

static int complain(const char *doing) {
  fprintf(stderr, "%s: %s\n", doing, peerlane_error_text());
  return 1;
}

static void show(peerlane_disk *disk) {
  peerlane_info info = PEERLANE_INFO_INIT;
  if (peerlane_get_info(disk, &info) < 0) return;
  printf("identity %s\nsize %llu\nblock %u\n", info.identity, (unsigned long long)info.size, info.block_size);
  printf("discards %s\n", (info.capabilities & PEERLANE_CAN_DISCARD) != 0 ? "yes" : "no");
}

static int write_and_compare(peerlane_disk *disk, unsigned char *written, unsigned char *read) {
  size_t i;
  for (i = 0; i < LENGTH; ++i) written[i] = (unsigned char)(i * 31 + i / 4096);
  if (peerlane_pwrite(disk, written, LENGTH, 0, PEERLANE_FUA) < 0) return complain("writing");
  if (peerlane_pread(disk, read, LENGTH, 0) < 0) return complain("reading");
  if (memcmp(written, read, LENGTH) != 0) {
    fprintf(stderr, "other data were read than written\n");
    return 1;
  }
  return 0;
}

/* The first MiB reads as zeroes afterwards, and its space may be gone. */
static int clear(peerlane_disk *disk) {
  peerlane_extent extents[16];
  int count, i;
  if (peerlane_zero(disk, 0, LENGTH, PEERLANE_MAY_DISCARD) < 0) return complain("zeroing");
  if (peerlane_flush(disk) < 0) return complain("flushing");
  count = peerlane_extents(disk, 0, (uint64_t)peerlane_size(disk), extents, 16);
  if (count < 0) return complain("asking what is allocated");
  for (i = 0; i < count; ++i) {
    printf("extent %llu+%llu %s\n", (unsigned long long)extents[i].offset, (unsigned long long)extents[i].length,
           extents[i].allocated ? "allocated" : "free");
  }
  return 0;
}

int main(int argc, char **argv) {
  peerlane_options options = PEERLANE_OPTIONS_INIT;
  peerlane_disk *disk;
  unsigned char *written = malloc(LENGTH), *read = malloc(LENGTH);
  int status = 1;
  if (argc != 2 || written == NULL || read == NULL) {
    fprintf(stderr, "usage: scratch URL\n");
  } else {
    options.replacement_timeout_ms = 30000;
    if (peerlane_open(argv[1], &options, &disk) < 0) {
      status = complain("opening");
    } else {
      show(disk);
      status = write_and_compare(disk, written, read) || clear(disk);
      if (peerlane_close(disk) < 0) status = complain("closing");
    }
  }
  free(written);
  free(read);
  return status;
}
