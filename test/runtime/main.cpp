//===- main.cpp - Runs the runtime's tests --------------------------------===//

#include "check.h"

#include <cstdlib>
#include <cstring>
#include <unistd.h>

int Failed = 0;
const char *ProgramPath = RUNTIME_TEST_PROGRAM;
char Folder[256] = "/tmp/halcyon-runtime-XXXXXX";

/// Runs the tests whose names contain the first argument, or all.
int main(int Count, char **Arguments) {
  const char *Filter = Count > 1 ? Arguments[1] : "";
  if (!mkdtemp(Folder))
    return 1;
  int Broken = 0;
  auto RunAll = [&](const Test *Tests, unsigned Number) {
    for (unsigned I = 0; I != Number; ++I) {
      if (!strstr(Tests[I].Name, Filter))
        continue;
      Failed = 0;
      Tests[I].Run();
      printf("%s %s\n", Failed ? "FAIL" : "PASS", Tests[I].Name);
      fflush(stdout);
      Broken += Failed != 0;
    }
  };
  RunAll(SessionTests, NumSessionTests);
  RunAll(EmbedTests, NumEmbedTests);
  RunAll(DeviceTests, NumDeviceTests);
  RunAll(ThreadTests, NumThreadTests);
  RunAll(FileTests, NumFileTests);
  RunAll(ProgramTests, NumProgramTests);
  char Command[300];
  snprintf(Command, sizeof(Command), "rm -rf '%s'", Folder);
  return system(Command) != 0 || Broken != 0;
}
