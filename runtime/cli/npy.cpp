//===- npy.cpp - NumPy's array files --------------------------------------===//
//
// A file is "\x93NUMPY", a version, the length of a header, and the header: a
// Python dictionary of `descr`, `fortran_order` and `shape`. The data follow.
//
//===----------------------------------------------------------------------===//

#include "support.h"

#include <cstdio>

using namespace halcyon::cli;

static constexpr char Magic[] = "\x93NUMPY";

bool halcyon::cli::isNpy(const uint8_t *Data, size_t Size) {
  return Size >= 6 && memcmp(Data, Magic, 6) == 0;
}

namespace {
/// Reads the header's dictionary; every step checks the end.
struct Reader {
  const char *At, *End;

  void skipSpace() {
    while (At != End &&
           (*At == ' ' || *At == '\n' || *At == '\t' || *At == '\r'))
      ++At;
  }
  bool take(char C) {
    skipSpace();
    if (At == End || *At != C)
      return false;
    ++At;
    return true;
  }
  bool takeWord(const char *Word) {
    skipSpace();
    size_t Length = strlen(Word);
    if (size_t(End - At) < Length || memcmp(At, Word, Length) != 0)
      return false;
    At += Length;
    return true;
  }
  bool takeString(const char *&Text, size_t &Length) {
    skipSpace();
    if (At == End || (*At != '\'' && *At != '"'))
      return false;
    char Quote = *At++;
    Text = At;
    while (At != End && *At != Quote)
      ++At;
    if (At == End)
      return false;
    Length = size_t(At++ - Text);
    return true;
  }
  bool takeNumber(uint64_t &Number) {
    skipSpace();
    if (At == End || *At < '0' || *At > '9')
      return false;
    Number = 0;
    for (; At != End && *At >= '0' && *At <= '9'; ++At)
      if (__builtin_mul_overflow(Number, uint64_t(10), &Number) ||
          __builtin_add_overflow(Number, uint64_t(*At - '0'), &Number))
        return false;
    take('L'); // Python 2 wrote long integers so
    return true;
  }
};
} // namespace

static bool parseType(const char *Text, size_t Length, ElementType &Type,
                      Failure &Why) {
  if (Length >= 2 && Text[0] == '>')
    return fail(Why, "big-endian data are not supported");
  bool Marked = Length && (Text[0] == '<' || Text[0] == '|' || Text[0] == '=');
  Text += Marked;
  Length -= Marked;
  if (Length == 2 && Text[1] >= '1' && Text[1] <= '8') {
    uint8_t Bits = uint8_t(8 * (Text[1] - '0'));
    if (Text[0] == 'f')
      Type = {2, Bits};
    else if (Text[0] == 'i')
      Type = {0, Bits};
    else if (Text[0] == 'u')
      Type = {1, Bits};
    else if (Text[0] == 'b')
      Type = {1, 1};
    if (Type.Bits)
      return true;
  }
  return fail(Why, "element type '%.*s' is not supported",
              int(Length < 40 ? Length : 40), Text);
}

static bool parseShape(Reader &R, Tensor &Out, Failure &Why) {
  if (!R.take('('))
    return fail(Why, "damaged .npy header: no shape");
  while (!R.take(')')) {
    if (Out.Rank == MaxRank)
      return fail(Why, "more than %u dimensions", MaxRank);
    if (!R.takeNumber(Out.Shape[Out.Rank]))
      return fail(Why, "damaged .npy header: bad shape");
    ++Out.Rank;
    if (!R.take(',')) {
      if (!R.take(')'))
        return fail(Why, "damaged .npy header: bad shape");
      break;
    }
  }
  return true;
}

bool halcyon::cli::parseNpy(const uint8_t *Data, size_t Size, Tensor &Out,
                            Failure &Why) {
  if (!isNpy(Data, Size))
    return fail(Why, "not a .npy file");
  if (Size < 12)
    return fail(Why, "truncated .npy header");
  unsigned Major = Data[6];
  if (Major < 1 || Major > 3)
    return fail(Why, ".npy version %u is not supported", Major);
  size_t Start = Major == 1 ? 10 : 12;
  uint64_t Length = Data[8] | Data[9] << 8;
  if (Major > 1)
    Length |= uint64_t(Data[10]) << 16 | uint64_t(Data[11]) << 24;
  if (Length > Size - Start)
    return fail(Why, "truncated .npy header");

  Out = Tensor();
  Reader R = {reinterpret_cast<const char *>(Data) + Start,
              reinterpret_cast<const char *>(Data) + Start + Length};
  bool HasType = false, HasOrder = false, HasShape = false;
  if (!R.take('{'))
    return fail(Why, "damaged .npy header");
  while (!R.take('}')) {
    const char *Key, *Text;
    size_t KeyLength, TextLength;
    if (!R.takeString(Key, KeyLength) || !R.take(':'))
      return fail(Why, "damaged .npy header");
    auto Is = [&](const char *Name) {
      return KeyLength == strlen(Name) && memcmp(Key, Name, KeyLength) == 0;
    };
    if (Is("descr") && !HasType) {
      if (R.take('['))
        return fail(Why, "structured element types are not supported");
      if (!R.takeString(Text, TextLength))
        return fail(Why, "damaged .npy header");
      if (!parseType(Text, TextLength, Out.Type, Why))
        return false;
      HasType = true;
    } else if (Is("fortran_order") && !HasOrder) {
      if (R.takeWord("True"))
        return fail(
            Why,
            "Fortran order is not supported: save numpy.ascontiguousarray(x)");
      if (!R.takeWord("False"))
        return fail(Why, "damaged .npy header: bad fortran_order");
      HasOrder = true;
    } else if (Is("shape") && !HasShape) {
      if (!parseShape(R, Out, Why))
        return false;
      HasShape = true;
    } else {
      return fail(Why, "damaged .npy header");
    }
    if (!R.take(',')) {
      if (!R.take('}'))
        return fail(Why, "damaged .npy header");
      break;
    }
  }
  if (!HasType || !HasOrder || !HasShape)
    return fail(Why, "damaged .npy header");

  uint64_t Bytes;
  Out.Offset = Start + size_t(Length);
  if (!tensorBytes(Out, Bytes))
    return fail(Why, "damaged .npy header: the shape is too large");
  if (Bytes > Size - Out.Offset)
    return fail(Why, "truncated: %zu of %llu bytes of data", Size - Out.Offset,
                static_cast<unsigned long long>(Bytes));
  Out.Bytes = size_t(Bytes);
  return true;
}

bool halcyon::cli::makeNpyHeader(const Tensor &T, Buffer &Out, Failure &Why) {
  char Kind = T.Type.Code == 2   ? 'f'
              : T.Type.Code == 0 ? 'i'
              : T.Type.Code == 1 ? 'u'
                                 : 0;
  if (!Kind || T.Type.Bits % 8)
    return fail(Why, ".npy cannot hold %s", typeName(T.Type));
  char Text[320];
  int Used = snprintf(Text, sizeof(Text),
                      "{'descr': '%c%c%d', 'fortran_order': False, 'shape': (",
                      T.Type.Bits == 8 ? '|' : '<', Kind, T.Type.Bits / 8);
  for (unsigned I = 0; I != T.Rank; ++I)
    Used += snprintf(Text + Used, sizeof(Text) - size_t(Used),
                     I + 1 == T.Rank && I ? "%llu" : "%llu, ",
                     static_cast<unsigned long long>(T.Shape[I]));
  Used += snprintf(Text + Used, sizeof(Text) - size_t(Used), "), }");
  size_t Total = (10 + size_t(Used) + 1 + 63) / 64 * 64;
  if (!Out.allocate(Total, Why))
    return false;
  memset(Out.Data, ' ', Total);
  memcpy(Out.Data, Magic, 6);
  Out.Data[6] = 1;
  Out.Data[7] = 0;
  Out.Data[8] = uint8_t(Total - 10);
  Out.Data[9] = uint8_t((Total - 10) >> 8);
  memcpy(Out.Data + 10, Text, size_t(Used));
  Out.Data[Total - 1] = '\n';
  return true;
}
