// What an emitted session uses of a C library, for targets whose own is not here.
#include <stddef.h>
typedef struct stream FILE;
#define EOF (-1)
#define SEEK_SET 0
#define stderr ((FILE *)0)
FILE *fopen(const char *, const char *);
int fclose(FILE *);
size_t fread(void *, size_t, size_t, FILE *);
int fseek(FILE *, long, int);
int fgetc(FILE *);
int printf(const char *, ...) __attribute__((format(printf, 1, 2)));
int fprintf(FILE *, const char *, ...) __attribute__((format(printf, 2, 3)));
int snprintf(char *, size_t, const char *, ...) __attribute__((format(printf, 3, 4)));
