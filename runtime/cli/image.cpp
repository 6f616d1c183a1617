//===- image.cpp - PNG and JPEG -------------------------------------------===//

#include "support.h"

#include <csetjmp>
#include <cstdio>
#include <jpeglib.h>

#include <jerror.h>
#include <png.h>

using namespace halcyon::cli;

static bool isPng(const uint8_t *Data, size_t Size) {
  return Size >= 8 && memcmp(Data, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static bool isJpeg(const uint8_t *Data, size_t Size) {
  return Size >= 3 && memcmp(Data, "\xff\xd8\xff", 3) == 0;
}

bool halcyon::cli::isPicture(const uint8_t *Data, size_t Size) {
  return isPng(Data, Size) || isJpeg(Data, Size);
}

/// Kernels count elements in 32 bits.
static bool makeRoom(Picture &Out, uint64_t Width, uint64_t Height,
                     uint32_t Channels, Failure &Why) {
  if (Width == 0 || Height == 0 || Width > INT32_MAX / 4 ||
      Height > INT32_MAX / 4 || Width * Channels > uint64_t(INT32_MAX) / Height)
    return fail(Why, "a picture of %llu x %llu is too large",
                static_cast<unsigned long long>(Width),
                static_cast<unsigned long long>(Height));
  Out.Width = uint32_t(Width);
  Out.Height = uint32_t(Height);
  Out.Channels = Channels;
  return Out.Pixels.allocate(Width * Height * Channels, Why);
}

static bool decodePng(const uint8_t *Data, size_t Size, uint32_t Channels,
                      Picture &Out, Failure &Why) {
  png_image Image = {};
  Image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_memory(&Image, Data, Size))
    return fail(Why, "damaged PNG: %s", Image.message);
  Image.format = Channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  Image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB; // as every viewer takes them
  if (!makeRoom(Out, Image.width, Image.height, Channels, Why)) {
    png_image_free(&Image);
    return false;
  }
  const png_color White = {255, 255, 255};
  if (png_image_finish_read(&Image, &White, Out.Pixels.Data,
                            png_int_32(Out.Width * Channels), nullptr))
    return true;
  return fail(Why, "damaged or truncated PNG: %s", Image.message);
}

namespace {
struct JpegErrors {
  jpeg_error_mgr Base; // first: libjpeg knows only this
  jmp_buf Escape;
  Failure *Why;
};
} // namespace

static void jpegFailed(j_common_ptr Info) {
  auto *Errors = reinterpret_cast<JpegErrors *>(Info->err);
  char Message[JMSG_LENGTH_MAX];
  Info->err->format_message(Info, Message);
  fail(*Errors->Why, "damaged or truncated JPEG: %s", Message);
  longjmp(Errors->Escape, 1);
}

/// libjpeg invents what is missing and warns; a picture half of gray is not the
/// picture. What cameras do wrong without harm is let pass.
static void jpegWarned(j_common_ptr Info, int Level) {
  int Code = Info->err->msg_code;
  if (Level < 0 && Code != JWRN_EXTRANEOUS_DATA && Code != JWRN_ADOBE_XFORM &&
      Code != JWRN_JFIF_MAJOR)
    jpegFailed(Info);
}

/// Nothing here has a destructor: errors leave it by longjmp.
static bool decodeJpeg(const uint8_t *Data, size_t Size, uint32_t Channels,
                       Picture &Out, Failure &Why) {
  jpeg_decompress_struct Info;
  JpegErrors Errors;
  Info.err = jpeg_std_error(&Errors.Base);
  Errors.Base.error_exit = jpegFailed;
  Errors.Base.emit_message = jpegWarned;
  Errors.Why = &Why;
  if (setjmp(Errors.Escape)) {
    jpeg_destroy_decompress(&Info);
    return false;
  }
  jpeg_create_decompress(&Info);
  jpeg_mem_src(&Info, Data, Size);
  jpeg_read_header(&Info, TRUE);
  Info.out_color_space = Channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  // First: of a progressive picture libjpeg keeps all, however large it says it is.
  bool Good = makeRoom(Out, Info.image_width, Info.image_height, Channels, Why);
  if (Good) {
    jpeg_start_decompress(&Info);
    Good = Info.output_components == int(Channels);
  }
  while (Good && Info.output_scanline < Info.output_height) {
    JSAMPROW Row =
        Out.Pixels.Data + size_t(Info.output_scanline) * Out.Width * Channels;
    jpeg_read_scanlines(&Info, &Row, 1);
  }
  if (Good)
    jpeg_finish_decompress(&Info);
  jpeg_destroy_decompress(&Info);
  return Good;
}

bool halcyon::cli::decodePicture(const uint8_t *Data, size_t Size,
                                 uint32_t Channels, Picture &Out,
                                 Failure &Why) {
  if (Channels != 1 && Channels != 3)
    return fail(
        Why,
        "the model takes pictures of %u channels, PNG and JPEG give 1 or 3",
        Channels);
  if (isPng(Data, Size))
    return decodePng(Data, Size, Channels, Out, Why);
  if (isJpeg(Data, Size))
    return decodeJpeg(Data, Size, Channels, Out, Why);
  return fail(Why, Size ? "not a PNG or JPEG picture" : "the file is empty");
}
