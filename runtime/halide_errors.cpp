//===- halide_errors.cpp - Messages of kernels that keep their asserts ----===//
//
// Released programs contain no asserts and link nothing of this file.
//
//===----------------------------------------------------------------------===//

#include <HalideRuntime.h>

#include <cstdarg>
#include <cstdio>

static int report(void *UserContext, halide_error_code_t Code,
                  const char *Format, ...)
    __attribute__((format(printf, 3, 4)));

static int report(void *UserContext, halide_error_code_t Code,
                  const char *Format, ...) {
  char Text[256];
  va_list Arguments;
  va_start(Arguments, Format);
  vsnprintf(Text, sizeof(Text), Format, Arguments);
  va_end(Arguments);
  halide_error(UserContext, Text);
  return Code;
}

using LL = long long;
using ULL = unsigned long long;

extern "C" {

int halide_error_bounds_inference_call_failed(void *C, const char *Stage,
                                              int Result) {
  report(C, halide_error_code_generic_error, "bounds query of %s failed: %d",
         Stage, Result);
  return Result;
}
int halide_error_extern_stage_failed(void *C, const char *Stage, int Result) {
  report(C, halide_error_code_generic_error, "extern stage %s failed: %d",
         Stage, Result);
  return Result;
}
int halide_error_explicit_bounds_too_small(void *C, const char *Func,
                                           const char *Var, int Min, int Max,
                                           int MinNeeded, int MaxNeeded) {
  return report(C, halide_error_code_explicit_bounds_too_small,
                "%s over %s is bound to [%d, %d], [%d, %d] is needed", Func,
                Var, Min, Max, MinNeeded, MaxNeeded);
}
int halide_error_bad_type(void *C, const char *Func, uint32_t Given,
                          uint32_t Wanted) {
  return report(C, halide_error_code_bad_type, "%s has type 0x%x, not 0x%x",
                Func, Given, Wanted);
}
int halide_error_bad_dimensions(void *C, const char *Func, int32_t Given,
                                int32_t Wanted) {
  return report(C, halide_error_code_bad_dimensions,
                "%s has %d dimensions, not %d", Func, Given, Wanted);
}
int halide_error_access_out_of_bounds(void *C, const char *Func, int Dim,
                                      int MinTouched, int MaxTouched, int Min,
                                      int Max) {
  return report(C, halide_error_code_access_out_of_bounds,
                "%s is accessed at [%d, %d] in dimension %d, it has [%d, %d]",
                Func, MinTouched, MaxTouched, Dim, Min, Max);
}
int halide_error_buffer_allocation_too_large(void *C, const char *Buffer,
                                             uint64_t Size, uint64_t Max) {
  return report(C, halide_error_code_buffer_allocation_too_large,
                "%s of %llu bytes exceeds %llu", Buffer, ULL(Size), ULL(Max));
}
int halide_error_buffer_extents_negative(void *C, const char *Buffer, int Dim,
                                         int Extent) {
  return report(C, halide_error_code_buffer_extents_negative,
                "%s has extent %d in dimension %d", Buffer, Extent, Dim);
}
int halide_error_buffer_extents_too_large(void *C, const char *Buffer,
                                          int64_t Size, int64_t Max) {
  return report(C, halide_error_code_buffer_extents_too_large,
                "%s of %lld elements exceeds %lld", Buffer, LL(Size), LL(Max));
}
int halide_error_constraints_make_required_region_smaller(
    void *C, const char *Buffer, int Dim, int Min, int Extent, int MinNeeded,
    int ExtentNeeded) {
  return report(
      C, halide_error_code_constraints_make_required_region_smaller,
      "%s is constrained to [%d, %d) in dimension %d, [%d, %d) is needed",
      Buffer, Min, Min + Extent, Dim, MinNeeded, MinNeeded + ExtentNeeded);
}
int halide_error_constraint_violated(void *C, const char *Var, int Value,
                                     const char *Wanted, int WantedValue) {
  return report(C, halide_error_code_constraint_violated,
                "%s is %d, %s (%d) is required", Var, Value, Wanted,
                WantedValue);
}
int halide_error_param_too_small_i64(void *C, const char *Name, int64_t Value,
                                     int64_t Min) {
  return report(C, halide_error_code_param_too_small, "%s is %lld, below %lld",
                Name, LL(Value), LL(Min));
}
int halide_error_param_too_small_u64(void *C, const char *Name, uint64_t Value,
                                     uint64_t Min) {
  return report(C, halide_error_code_param_too_small, "%s is %llu, below %llu",
                Name, ULL(Value), ULL(Min));
}
int halide_error_param_too_small_f64(void *C, const char *Name, double Value,
                                     double Min) {
  return report(C, halide_error_code_param_too_small, "%s is %g, below %g",
                Name, Value, Min);
}
int halide_error_param_too_large_i64(void *C, const char *Name, int64_t Value,
                                     int64_t Max) {
  return report(C, halide_error_code_param_too_large, "%s is %lld, above %lld",
                Name, LL(Value), LL(Max));
}
int halide_error_param_too_large_u64(void *C, const char *Name, uint64_t Value,
                                     uint64_t Max) {
  return report(C, halide_error_code_param_too_large, "%s is %llu, above %llu",
                Name, ULL(Value), ULL(Max));
}
int halide_error_param_too_large_f64(void *C, const char *Name, double Value,
                                     double Max) {
  return report(C, halide_error_code_param_too_large, "%s is %g, above %g",
                Name, Value, Max);
}
int halide_error_out_of_memory(void *C) {
  return report(C, halide_error_code_out_of_memory, "out of memory");
}
int halide_error_buffer_argument_is_null(void *C, const char *Buffer) {
  return report(C, halide_error_code_buffer_argument_is_null, "%s is missing",
                Buffer);
}
int halide_error_debug_to_file_failed(void *C, const char *Func,
                                      const char *File, int Code) {
  return report(C, halide_error_code_debug_to_file_failed,
                "%s cannot be written to %s: %d", Func, File, Code);
}
int halide_error_unaligned_host_ptr(void *C, const char *Func, int Alignment) {
  return report(C, halide_error_code_unaligned_host_ptr,
                "%s is not aligned to %d bytes", Func, Alignment);
}
int halide_error_host_is_null(void *C, const char *Func) {
  return report(C, halide_error_code_host_is_null, "%s has no memory", Func);
}
int halide_error_bad_fold(void *C, const char *Func, const char *Var,
                          const char *Loop) {
  return report(C, halide_error_code_bad_fold,
                "%s over %s cannot be folded in %s", Func, Var, Loop);
}
int halide_error_bad_extern_fold(void *C, const char *Func, int Dim, int Min,
                                 int Extent, int ValidMin, int Factor) {
  return report(
      C, halide_error_code_bad_extern_fold,
      "dimension %d of %s cannot be folded: [%d, %d), from %d, factor %d", Dim,
      Func, Min, Min + Extent, ValidMin, Factor);
}
int halide_error_fold_factor_too_small(void *C, const char *Func,
                                       const char *Var, int Factor,
                                       const char *Loop, int Needed) {
  return report(C, halide_error_code_fold_factor_too_small,
                "%s over %s is folded by %d in %s, %d is needed", Func, Var,
                Factor, Loop, Needed);
}
int halide_error_requirement_failed(void *C, const char *Condition,
                                    const char *Message) {
  return report(C, halide_error_code_requirement_failed, "%s does not hold: %s",
                Condition, Message);
}
int halide_error_specialize_fail(void *C, const char *Message) {
  return report(C, halide_error_code_specialize_fail,
                "no specialisation fits: %s", Message);
}
int halide_error_no_device_interface(void *C) {
  return report(C, halide_error_code_no_device_interface,
                "a buffer has no device interface");
}
int halide_error_device_interface_no_device(void *C) {
  return report(C, halide_error_code_device_interface_no_device,
                "a buffer has no device memory");
}
int halide_error_host_and_device_dirty(void *C) {
  return report(C, halide_error_code_host_and_device_dirty,
                "a buffer was changed on host and device");
}
int halide_error_buffer_is_null(void *C, const char *Routine) {
  return report(C, halide_error_code_buffer_is_null, "%s was given no buffer",
                Routine);
}
int halide_error_device_dirty_with_no_device_support(void *C,
                                                     const char *Buffer) {
  return report(C, halide_error_code_device_dirty_with_no_device_support,
                "%s was changed on a device that the kernel does not use",
                Buffer);
}
int halide_error_storage_bound_too_small(void *C, const char *Func,
                                         const char *Var, int Size,
                                         int Needed) {
  return report(C, halide_error_code_storage_bound_too_small,
                "storage of %s over %s is bound to %d, %d is needed", Func, Var,
                Size, Needed);
}
int halide_error_device_crop_failed(void *C) {
  return report(C, halide_error_code_device_crop_failed,
                "a buffer cannot be cropped on its device");
}
int halide_error_split_factor_not_positive(void *C, const char *Func,
                                           const char *Old, const char *Outer,
                                           const char *Inner, const char *Text,
                                           int Factor) {
  return report(
      C, halide_error_code_split_factor_not_positive,
      "%s: the factor %s = %d that splits %s into %s and %s is not positive",
      Func, Text, Factor, Old, Outer, Inner);
}
int halide_error_vscale_invalid(void *C, const char *Func, int Given,
                                int Compiled) {
  return report(C, halide_error_code_vscale_invalid,
                "%s was compiled for vscale %d, not %d", Func, Compiled, Given);
}

} // extern "C"
