void *@NAME@_load_weights(const char *path) {
  unsigned char header[32];
  const unsigned char expected[32] = {@HEADER@};
  const size_t bytes = @WEIGHT_BYTES@u;
  unsigned char *weights = malloc(bytes + 1);
  FILE *file = fopen(path, "rb");
  const int good = weights && file && fread(header, 1, 32, file) == 32 &&
                   memcmp(header, expected, 32) == 0 &&
                   fseek(file, @WEIGHTS_AT@, SEEK_SET) == 0 &&
                   fread(weights, 1, bytes, file) == bytes;
  if (file)
    fclose(file);
  if (!good) {
    free(weights);
    return NULL;
  }
  return weights;
}
