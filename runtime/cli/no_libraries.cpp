//===- no_libraries.cpp - In place of libpng, libjpeg and zlib ------------===//

#include "support.h"

#include <zlib.h>

using namespace halcyon::cli;

bool halcyon::cli::isPicture(const uint8_t *Data, size_t Size) {
  return (Size >= 8 && memcmp(Data, "\x89PNG\r\n\x1a\n", 8) == 0) ||
         (Size >= 3 && memcmp(Data, "\xff\xd8\xff", 3) == 0);
}

bool halcyon::cli::decodePicture(const uint8_t *, size_t, uint32_t, Picture &,
                                 Failure &Why) {
  return fail(Why, "this program was linked without libpng and libjpeg: give "
                   "--input file.npy");
}

/// Packed files are refused as they begin.
extern "C" {
int inflateInit2_(z_streamp, int, const char *, int) { return Z_VERSION_ERROR; }
int inflate(z_streamp, int) { return Z_STREAM_ERROR; }
int inflateEnd(z_streamp) { return Z_STREAM_ERROR; }
}
