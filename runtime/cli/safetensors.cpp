//===- safetensors.cpp - Files of named tensors ---------------------------===//
//
// A file is the length of a header in 8 bytes, the header in JSON,
//   {"name": {"dtype": "F32", "shape": [1, 10], "data_offsets": [0, 40]}, ...}
// and the data, to which the offsets refer.
//
//===----------------------------------------------------------------------===//

#include "support.h"

#include <cstdio>

using namespace halcyon::cli;

static const struct {
  const char *Name;
  ElementType Type;
} Types[] = {{"F32", {2, 32}},  {"F16", {2, 16}}, {"F64", {2, 64}},
             {"BF16", {3, 16}}, {"I8", {0, 8}},   {"I16", {0, 16}},
             {"I32", {0, 32}},  {"I64", {0, 64}}, {"U8", {1, 8}},
             {"U16", {1, 16}},  {"U32", {1, 32}}, {"U64", {1, 64}},
             {"BOOL", {1, 1}}};

template <class PutByte> static void putUtf8(unsigned Code, PutByte Put) {
  if (Code < 0x80) {
    Put(Code);
    return;
  }
  unsigned More = Code < 0x800     ? 1
                  : Code < 0x10000 ? 2
                                   : 3; // bytes after the first
  Put((0xff00u >> (More + 1) & 0xff) | Code >> (6 * More));
  while (More-- != 0)
    Put(0x80 | (Code >> (6 * More) & 63));
}

namespace {
/// Just the JSON that such a header may hold; every step checks the end.
struct Json {
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

  /// A string, decoded to UTF-8; what exceeds the room is cut.
  bool takeString(char *Out, size_t Room) {
    if (!take('"'))
      return false;
    size_t Used = 0;
    auto Put = [&](unsigned Byte) {
      if (Used + 1 < Room)
        Out[Used++] = char(Byte);
    };
    while (At != End && *At != '"') {
      if (static_cast<unsigned char>(*At) < 0x20)
        return false;
      if (*At != '\\') {
        Put(static_cast<unsigned char>(*At++));
        continue;
      }
      if (++At == End)
        return false;
      char Escape = *At++;
      switch (Escape) {
      case '"':
      case '\\':
      case '/':
        Put(unsigned(Escape));
        break;
      case 'b':
        Put('\b');
        break;
      case 'f':
        Put('\f');
        break;
      case 'n':
        Put('\n');
        break;
      case 'r':
        Put('\r');
        break;
      case 't':
        Put('\t');
        break;
      case 'u': {
        unsigned Code;
        if (!takeHex(Code))
          return false;
        if (Code >= 0xd800 && Code < 0xdc00 && End - At >= 6 && At[0] == '\\' &&
            At[1] == 'u') {
          unsigned Low;
          At += 2;
          if (!takeHex(Low) || Low < 0xdc00 || Low > 0xdfff)
            return false;
          Code = 0x10000 + ((Code - 0xd800) << 10) + (Low - 0xdc00);
        }
        putUtf8(Code, Put);
        break;
      }
      default:
        return false;
      }
    }
    Out[Used] = 0;
    return take('"');
  }

  bool takeHex(unsigned &Code) {
    if (End - At < 4)
      return false;
    Code = 0;
    for (int I = 0; I != 4; ++I, ++At) {
      unsigned Digit;
      if (*At >= '0' && *At <= '9')
        Digit = unsigned(*At - '0');
      else if ((*At | 32) >= 'a' && (*At | 32) <= 'f')
        Digit = unsigned((*At | 32) - 'a') + 10;
      else
        return false;
      Code = Code << 4 | Digit;
    }
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
    return true;
  }

  /// A list of at most `Room` numbers.
  bool takeNumbers(uint64_t *Numbers, unsigned Room, unsigned &Count) {
    Count = 0;
    if (!take('['))
      return false;
    if (take(']'))
      return true;
    do {
      if (Count == Room || !takeNumber(Numbers[Count]))
        return false;
      ++Count;
    } while (take(','));
    return take(']');
  }
};
} // namespace

/// One tensor's description. `Type` may be one that no program takes.
static bool takeTensor(Json &J, Tensor &Out, uint64_t (&Offsets)[2]) {
  bool HasType = false, HasShape = false, HasOffsets = false;
  unsigned Count;
  if (!J.take('{'))
    return false;
  do {
    char Key[16], Type[16];
    if (!J.takeString(Key, sizeof(Key)) || !J.take(':'))
      return false;
    if (strcmp(Key, "dtype") == 0 && !HasType) {
      if (!J.takeString(Type, sizeof(Type)))
        return false;
      for (const auto &Entry : Types)
        if (strcmp(Entry.Name, Type) == 0)
          Out.Type = Entry.Type;
      HasType = true;
    } else if (strcmp(Key, "shape") == 0 && !HasShape) {
      HasShape = J.takeNumbers(Out.Shape, MaxRank, Out.Rank);
      if (!HasShape)
        return false;
    } else if (strcmp(Key, "data_offsets") == 0 && !HasOffsets) {
      HasOffsets = J.takeNumbers(Offsets, 2, Count) && Count == 2;
      if (!HasOffsets)
        return false;
    } else {
      return false;
    }
  } while (J.take(','));
  return J.take('}') && HasType && HasShape && HasOffsets;
}

/// Free text about the file: {"key": "value", ...}.
static bool skipMetadata(Json &J) {
  char Ignored[4];
  if (!J.take('{'))
    return false;
  if (J.take('}'))
    return true;
  do {
    if (!J.takeString(Ignored, sizeof(Ignored)) || !J.take(':') ||
        !J.takeString(Ignored, sizeof(Ignored)))
      return false;
  } while (J.take(','));
  return J.take('}');
}

bool halcyon::cli::findSafetensor(const uint8_t *Data, size_t Size,
                                  const char *Name, Tensor &Out, Failure &Why) {
  uint64_t Length;
  if (Size < 10)
    return fail(Why, "not a .safetensors file");
  memcpy(&Length, Data, 8);
  if (Length < 2 || Length > (100u << 20) || Data[8] != '{')
    return fail(Why, "not a .safetensors file");
  if (Length > Size - 8)
    return fail(Why, "truncated .safetensors header");
  size_t DataSize = Size - 8 - size_t(Length);
  Json J = {reinterpret_cast<const char *>(Data) + 8,
            reinterpret_cast<const char *>(Data) + 8 + Length};

  unsigned Count = 0, Found = 0;
  J.take('{');
  if (!J.take('}')) {
    do {
      char Key[512];
      if (!J.takeString(Key, sizeof(Key)) || !J.take(':'))
        return fail(Why, "damaged .safetensors header");
      if (strcmp(Key, "__metadata__") == 0) {
        if (!skipMetadata(J))
          return fail(Why, "damaged .safetensors header: bad metadata");
        continue;
      }
      Tensor T;
      uint64_t Offsets[2], Bytes;
      if (!takeTensor(J, T, Offsets))
        return fail(Why, "damaged .safetensors header at tensor '%.100s'", Key);
      if (Offsets[0] > Offsets[1] || Offsets[1] > DataSize)
        return fail(Why, "tensor '%.100s' lies outside the file: truncated?",
                    Key);
      if (T.Type.Code != 255 &&
          (!tensorBytes(T, Bytes) || Bytes != Offsets[1] - Offsets[0]))
        return fail(Why, "tensor '%.100s': shape and size do not agree", Key);
      T.Offset = 8 + size_t(Length) + size_t(Offsets[0]);
      T.Bytes = size_t(Offsets[1] - Offsets[0]);
      ++Count;
      bool Wanted = strcmp(Key, Name) == 0;
      if (Wanted || (Count == 1 && !Found))
        Out = T;
      Found += Wanted;
    } while (J.take(','));
    if (!J.take('}'))
      return fail(Why, "damaged .safetensors header");
  }
  if (Found || Count == 1)
    return true;
  return fail(Why,
              Count ? "no tensor '%s' among the %u"
                    : "no tensor '%s': the file has %u",
              Name, Count);
}

bool halcyon::cli::makeSafetensorsHeader(const Tensor *Tensors,
                                         const char *const *Names, size_t Count,
                                         Buffer &Out, Failure &Why) {
  size_t Room = 128;
  for (size_t I = 0; I != Count; ++I)
    Room += 320 + 6 * strlen(Names[I]);
  if (!Out.allocate(Room, Why))
    return false;
  char *Text = reinterpret_cast<char *>(Out.Data) + 8;
  char *End = reinterpret_cast<char *>(Out.Data) + Room;
  char *At = Text;
  uint64_t Offset = 0;
  auto Print = [&](auto... Arguments) {
    At += snprintf(At, size_t(End - At), Arguments...);
  };
  *At++ = '{';
  for (size_t I = 0; I != Count; ++I) {
    const Tensor &T = Tensors[I];
    const char *Type = nullptr;
    for (const auto &Entry : Types)
      if (Entry.Type == T.Type)
        Type = Entry.Name;
    if (!Type)
      return fail(Why, ".safetensors cannot hold %s", typeName(T.Type));
    Print("%s\"", I ? "," : "");
    for (const char *C = Names[I]; *C; ++C) {
      if (static_cast<unsigned char>(*C) < 0x20)
        Print("\\u%04x", *C);
      else
        Print(*C == '"' || *C == '\\' ? "\\%c" : "%c", *C);
    }
    Print("\":{\"dtype\":\"%s\",\"shape\":[", Type);
    for (unsigned D = 0; D != T.Rank; ++D)
      Print(D ? ",%llu" : "%llu", static_cast<unsigned long long>(T.Shape[D]));
    Print("],\"data_offsets\":[%llu,%llu]}",
          static_cast<unsigned long long>(Offset),
          static_cast<unsigned long long>(Offset + T.Bytes));
    Offset += T.Bytes;
  }
  *At++ = '}';
  while ((At - Text) %
         8) // the format pads with spaces, so that the data are aligned
    *At++ = ' ';
  uint64_t Length = uint64_t(At - Text);
  memcpy(Out.Data, &Length, 8);
  Out.Size = 8 + size_t(Length);
  return true;
}
