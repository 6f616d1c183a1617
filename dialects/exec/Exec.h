//===- Exec.h - The exec dialect; see Exec.td -----------------------------===//

#ifndef HALCYON_DIALECTS_EXEC_EXEC_H
#define HALCYON_DIALECTS_EXEC_EXEC_H

#include "dialects/cnn/Cnn.h"

#include "dialects/exec/ExecDialect.h.inc"
#define GET_OP_CLASSES
#include "dialects/exec/Exec.h.inc"

#endif // HALCYON_DIALECTS_EXEC_EXEC_H
