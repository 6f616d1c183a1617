//===- file_tests.cpp - Tensors and pictures, sound and hostile -----------===//

#include "check.h"
#include "cli/support.h"

#include <initializer_list>
#include <jpeglib.h>
#include <png.h>
#include <sys/resource.h>

using namespace halcyon::cli;

namespace {

/// Parses a copy of exactly that size, so that a sanitizer sees every overrun.
template <class Parse>
bool parsesCopy(const uint8_t *Data, size_t Size, Parse P) {
  uint8_t *Copy = static_cast<uint8_t *>(malloc(Size ? Size : 1));
  if (Size)
    memcpy(Copy, Data, Size);
  bool Good = P(Copy, Size);
  free(Copy);
  return Good;
}

/// Every prefix, and many damaged copies, must be refused or make sense.
template <class Parse>
void torture(const uint8_t *Data, size_t Size, size_t Head, Parse P) {
  for (size_t Length = 0; Length < Size; ++Length)
    CHECK(!parsesCopy(Data, Length, P));
  uint32_t State = 7;
  uint8_t *Copy = static_cast<uint8_t *>(malloc(Size));
  for (int Round = 0; Round != 20000; ++Round) {
    memcpy(Copy, Data, Size);
    for (int Change = 0; Change != 1 + Round % 3; ++Change) {
      State = State * 1664525u + 1013904223u;
      Copy[(State >> 8) % Head] =
          Round % 2 ? uint8_t(State >> 24) : "0129[](){},:'\" "[State >> 28];
    }
    parsesCopy(Copy, Size, P);
  }
  free(Copy);
}

bool npy(const uint8_t *Data, size_t Size) {
  Tensor T;
  Failure Why;
  bool Good = parseNpy(Data, Size, T, Why);
  if (Good)
    CHECK(T.Offset <= Size && T.Bytes <= Size - T.Offset && T.Rank <= MaxRank);
  else
    CHECK(*Why.Text);
  return Good;
}

void npyRoundTrip() {
  for (unsigned Rank : {0u, 1u, 2u, 4u, 8u}) {
    Tensor T, Back;
    Failure Why;
    Buffer Header;
    T.Type = {2, 32};
    T.Rank = Rank;
    uint64_t Bytes;
    for (unsigned I = 0; I != Rank; ++I)
      T.Shape[I] = I + 1;
    CHECK(tensorBytes(T, Bytes));
    CHECK(makeNpyHeader(T, Header, Why));
    CHECK(Header.Size % 64 == 0);
    Buffer File;
    CHECK(File.allocate(Header.Size + Bytes, Why));
    memcpy(File.Data, Header.Data, Header.Size);
    CHECK(parseNpy(File.Data, File.Size, Back, Why));
    CHECK(Back.Type == T.Type && Back.Rank == Rank &&
          Back.Offset == Header.Size && Back.Bytes == Bytes &&
          memcmp(Back.Shape, T.Shape, sizeof(T.Shape)) == 0);
    CHECK(!parseNpy(File.Data, File.Size - 1, Back, Why));
    CHECK(strstr(Why.Text, "truncated"));
  }
}

/// A version 1 or 2 file of that header, with 64 bytes of data.
bool parseText(const char *Text, Failure &Why, unsigned Version = 1) {
  uint8_t File[512] = "\x93NUMPY";
  size_t Length = strlen(Text), Start = Version == 1 ? 10 : 12;
  File[6] = uint8_t(Version);
  File[8] = uint8_t(Length);
  memcpy(File + Start, Text, Length);
  Tensor T;
  return parseNpy(File, Start + Length + 64, T, Why);
}

void npyHostile() {
  Failure Why;
  CHECK(parseText("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4), }",
                  Why));
  CHECK(parseText(
      "{\"shape\":(16,),\"descr\":\"<f4\",\"fortran_order\":False}\n", Why, 2));
  CHECK(parseText("{'descr': '<f4', 'fortran_order': False, 'shape': (), }",
                  Why, 3));
  CHECK(parseText(
      "{'descr': '<f4', 'fortran_order': False, 'shape': (4L, 4L), }", Why));
  const char *Bad[][2] = {
      {"{'descr': '<f4', 'fortran_order': True, 'shape': (4, 4), }", "Fortran"},
      {"{'descr': '>f4', 'fortran_order': False, 'shape': (4, 4), }",
       "big-endian"},
      {"{'descr': '|O', 'fortran_order': False, 'shape': (4, 4), }", "'O'"},
      {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4, 4), }",
       "structured"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 5), }",
       "truncated"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-4, 4), }",
       "bad shape"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, "
       "4294967296), }",
       "large"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': "
       "(99999999999999999999,), }",
       "shape"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), "
       "}",
       "dimensions"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4), 'x': 1}",
       "damaged"},
      {"{'descr': '<f4', 'shape': (4, 4)}", "damaged"},
      {"{'descr': '<f4", "damaged"},
      {"", "damaged"},
  };
  for (auto &Case : Bad) {
    CHECK(!parseText(Case[0], Why));
    CHECK(strstr(Why.Text, Case[1]));
  }
  CHECK(!parseText(
      "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4), }", Why, 4));

  Tensor T;
  T.Type = {2, 32};
  T.Rank = 2;
  T.Shape[0] = T.Shape[1] = 3;
  Buffer Header, File;
  CHECK(makeNpyHeader(T, Header, Why) && File.allocate(Header.Size + 36, Why));
  memset(File.Data, 0, File.Size);
  memcpy(File.Data, Header.Data, Header.Size);
  torture(File.Data, File.Size, Header.Size, npy);
}

const char *Sought = "b \"quoted\"";

bool safetensor(const uint8_t *Data, size_t Size) {
  Tensor T;
  Failure Why;
  bool Good = findSafetensor(Data, Size, Sought, T, Why);
  if (Good)
    CHECK(T.Offset <= Size && T.Bytes <= Size - T.Offset && T.Rank <= MaxRank);
  else
    CHECK(*Why.Text);
  return Good;
}

void safetensors() {
  Tensor T[2];
  T[0].Type = {2, 32};
  T[0].Rank = 1;
  T[0].Shape[0] = 2;
  T[0].Bytes = 8;
  T[1].Type = {0, 64};
  T[1].Rank = 2;
  T[1].Shape[0] = 1;
  T[1].Shape[1] = 2;
  T[1].Bytes = 16;
  const char *Names[] = {"a", Sought};
  Failure Why;
  Buffer Header, File;
  CHECK(makeSafetensorsHeader(T, Names, 2, Header, Why));
  CHECK(Header.Size % 8 == 0);
  CHECK(File.allocate(Header.Size + 24, Why));
  memset(File.Data, 0, File.Size);
  memcpy(File.Data, Header.Data, Header.Size);
  Tensor Back;
  CHECK(findSafetensor(File.Data, File.Size, Sought, Back, Why));
  CHECK(Back.Type == T[1].Type && Back.Rank == 2 && Back.Shape[1] == 2 &&
        Back.Bytes == 16 && Back.Offset == Header.Size + 8);
  CHECK(!findSafetensor(File.Data, File.Size, "c", Back, Why));
  CHECK(strstr(Why.Text, "no tensor 'c' among the 2"));
  torture(File.Data, File.Size, Header.Size, safetensor);
}

bool findIn(const char *Json, const char *Name, Failure &Why,
            uint64_t Length = 0) {
  uint8_t File[512];
  uint64_t Size = strlen(Json);
  uint64_t Stated = Length ? Length : Size;
  memcpy(File, &Stated, 8);
  memcpy(File + 8, Json, Size);
  memset(File + 8 + Size, 0, 16);
  Tensor T;
  return parsesCopy(File, 8 + size_t(Size) + 16,
                    [&](const uint8_t *Data, size_t Bytes) {
                      return findSafetensor(Data, Bytes, Name, T, Why);
                    });
}

void safetensorsHostile() {
  Failure Why;
#define ONE(SHAPE, FROM, TO)                                                   \
  "{\"t\":{\"dtype\":\"F32\",\"shape\":" SHAPE ",\"data_offsets\":[" FROM      \
  "," TO "]}}"
  CHECK(findIn(ONE("[4]", "0", "16"), "t", Why));
  CHECK(findIn(ONE("[4]", "0", "16"), "other",
               Why)); // the only one needs no name
  CHECK(findIn(
      "{\"__metadata__\":{\"k\":\"v\\u00e9\\ud83d\\ude00\"} , \"\\u0074\" : "
      "{\"data_offsets\":[0,4], \"shape\":[], \"dtype\":\"F32\"} }",
      "t", Why));
  for (const char *Bad :
       {ONE("[4]", "0", "12"), ONE("[4]", "4", "20"), ONE("[4]", "16", "0"),
        ONE("[4294967296,4294967296,4294967296]", "0", "0"),
        ONE("[-1]", "0", "4"), ONE("[1.5]", "0", "4"),
        ONE("[4]", "0", "18446744073709551616"), ONE("[[4]]", "0", "16"),
        ONE("[1,1,1,1,1,1,1,1,4]", "0", "16"), "{\"t\":{}}", "{\"t\":[]}", "{}",
        "{", "{\"t\":{", "{\"\\ud800\\u0041\":{}}", "{\"\\x\":{}}", "[]"})
    CHECK(!findIn(Bad, "t", Why));
  CHECK(!findIn(ONE("[4]", "0", "16"), "t", Why, UINT64_MAX));
  CHECK(!findIn(ONE("[4]", "0", "16"), "t", Why, 1000));
}

//===----------------------------------------------------------------------===//
// Pictures
//===----------------------------------------------------------------------===//

constexpr uint32_t Width = 9, Height = 5;

size_t makePng(uint8_t *Out, size_t Room, uint32_t Format) {
  png_image Image = {};
  uint8_t Pixels[Width * Height * 8];
  Image.version = PNG_IMAGE_VERSION;
  Image.width = Width;
  Image.height = Height;
  Image.format = Format;
  for (size_t I = 0; I != PNG_IMAGE_SIZE(Image); ++I)
    Pixels[I] = uint8_t(I * 37);
  png_alloc_size_t Size = Room;
  CHECK(png_image_write_to_memory(&Image, Out, &Size, 0, Pixels, 0, nullptr));
  return Size;
}

size_t makeJpeg(uint8_t *Out, size_t Room, int Channels, bool Progressive = false) {
  jpeg_compress_struct Info;
  jpeg_error_mgr Errors;
  Info.err = jpeg_std_error(&Errors);
  jpeg_create_compress(&Info);
  unsigned long Size = Room;
  jpeg_mem_dest(&Info, &Out, &Size);
  Info.image_width = Width;
  Info.image_height = Height;
  Info.input_components = Channels;
  Info.in_color_space = Channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&Info);
  if (Progressive)
    jpeg_simple_progression(&Info);
  jpeg_start_compress(&Info, TRUE);
  uint8_t Row[Width * 3];
  memset(Row, 200, sizeof(Row));
  JSAMPROW Rows = Row;
  while (Info.next_scanline < Info.image_height)
    jpeg_write_scanlines(&Info, &Rows, 1);
  jpeg_finish_compress(&Info);
  jpeg_destroy_compress(&Info);
  return Size;
}

bool decode(const uint8_t *Data, size_t Size, uint32_t Channels, Picture &Out,
            Failure &Why) {
  return parsesCopy(Data, Size, [&](const uint8_t *Copy, size_t Bytes) {
    return decodePicture(Copy, Bytes, Channels, Out, Why);
  });
}

void pngs() {
  static uint8_t File[65536];
  Failure Why;
  size_t Size = makePng(File, sizeof(File), PNG_FORMAT_GRAY);
  for (uint32_t Channels : {1u, 3u}) {
    Picture P;
    CHECK(decode(File, Size, Channels, P, Why));
    CHECK(P.Width == Width && P.Height == Height && P.Channels == Channels);
    for (uint32_t I = 0; I != Width * Height * Channels; ++I)
      CHECK(P.Pixels.Data[I] == uint8_t(I / Channels * 37));
  }
  for (uint32_t Format : {PNG_FORMAT_RGB, PNG_FORMAT_RGBA, PNG_FORMAT_GA,
                          PNG_FORMAT_LINEAR_RGB, PNG_FORMAT_LINEAR_Y_ALPHA}) {
    size_t Length = makePng(File, sizeof(File), Format);
    for (uint32_t Channels : {1u, 3u}) {
      Picture P;
      CHECK(decode(File, Length, Channels, P, Why));
    }
  }
  Size = makePng(File, sizeof(File), PNG_FORMAT_RGB);
  for (size_t Length = 0; Length + 16 < Size; ++Length) {
    Picture P;
    *Why.Text = 0;
    CHECK(!decode(File, Length, 3, P, Why));
    CHECK(*Why.Text);
  }
  Picture P;
  CHECK(!decode(File, Size, 4, P, Why));
  File[20] = 0xff; // a width of a few million: the checksum catches it
  CHECK(!decode(File, Size, 3, P, Why));
}

void jpegs() {
  static uint8_t File[65536];
  Failure Why;
  for (int From : {1, 3})
    for (uint32_t Channels : {1u, 3u}) {
      size_t Size = makeJpeg(File, sizeof(File), From);
      Picture P;
      CHECK(decode(File, Size, Channels, P, Why));
      CHECK(P.Width == Width && P.Height == Height && P.Channels == Channels);
      int Difference = P.Pixels.Data[0] - 200;
      CHECK(Difference > -4 && Difference < 4);
      for (size_t Length = 0; Length + 2 < Size; ++Length) {
        *Why.Text = 0;
        CHECK(!decode(File, Length, Channels, P, Why));
        CHECK(*Why.Text);
      }
    }
  Picture P;
  const uint8_t Text[] = "just some text";
  CHECK(!decode(Text, sizeof(Text), 3, P, Why));
  CHECK(strcmp(Why.Text, "not a PNG or JPEG picture") == 0);
  CHECK(!decode(Text, 0, 3, P, Why));
}

/// A few hundred bytes that say to be 65500 x 65500 ask for no memory.
void largeJpeg() {
  static uint8_t File[65536];
  size_t Size = makeJpeg(File, sizeof(File), 3, true);
  Picture P;
  Failure Why;
  CHECK(decode(File, Size, 3, P, Why) && P.Width == Width && P.Height == Height);
  size_t At = 2; // segments: ff, their kind, their length
  while (At + 9 < Size && File[At + 1] != 0xc2)
    At += 2 + (size_t(File[At + 2]) << 8 | File[At + 3]);
  CHECK(At + 9 < Size);
  const uint8_t Sides[] = {65500 >> 8, 65500 & 255, 65500 >> 8, 65500 & 255};
  memcpy(File + At + 5, Sides, sizeof(Sides));
  rlimit Before, Little;
  CHECK(getrlimit(RLIMIT_DATA, &Before) == 0);
  Little = {size_t(1) << 30, Before.rlim_max};
  CHECK(setrlimit(RLIMIT_DATA, &Little) == 0);
  CHECK(!decode(File, Size, 3, P, Why));
  CHECK(strcmp(Why.Text, "a picture of 65500 x 65500 is too large") == 0);
  CHECK(setrlimit(RLIMIT_DATA, &Before) == 0);
}

void wholeFiles() {
  Failure Why;
  char Path[300];
  Buffer Back;
  snprintf(Path, sizeof(Path), "%s/whole", Folder);
  const Piece Pieces[] = {{"abc", 3}, {"", 0}, {"def", 3}};
  CHECK(writeFile(Path, Pieces, 3, Why));
  CHECK(readFile(Path, Back, Why) && Back.Size == 6 &&
        memcmp(Back.Data, "abcdef", 6) == 0);
  Names Listed;
  CHECK(Listed.read(Folder, Why));
  for (char *Name : Listed.Items)
    CHECK(strncmp(Name, "whole.", 6) != 0);
  CHECK(!readFile("/nowhere", Back, Why));
  CHECK(!readFile(Folder, Back, Why) && strstr(Why.Text, "is a folder"));
  CHECK(!writeFile("/nowhere/x", Pieces, 3, Why));
  CHECK(writeFile("/dev/null", Pieces, 3, Why));
}

} // namespace

const Test FileTests[] = {
    {"npy-round-trip", npyRoundTrip},
    {"npy-hostile", npyHostile},
    {"safetensors", safetensors},
    {"safetensors-hostile", safetensorsHostile},
    {"picture-png", pngs},
    {"picture-jpeg", jpegs},
    {"picture-jpeg-large", largeJpeg},
    {"whole-files", wholeFiles},
};
const unsigned NumFileTests = sizeof(FileTests) / sizeof(Test);
