// SPDX-License-Identifier: Apache-2.0
#pragma once
// Functions of one thread that CUDA has and C++ lacks, or that it has under the global name too.
// The approximate ones (__expf, __fdividef, ...) are exact here: tests need tolerances for
// hardware.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

template <class T>
T __ldg(const T* pointer) {
  return *pointer;
}
template <class T>
T __ldcs(const T* pointer) {
  return *pointer;
}
template <class T>
void __stcs(T* pointer, T value) {
  *pointer = value;
}

constexpr int min(int a, int b) { return std::min(a, b); }
constexpr int max(int a, int b) { return std::max(a, b); }
constexpr unsigned min(unsigned a, unsigned b) { return std::min(a, b); }
constexpr unsigned max(unsigned a, unsigned b) { return std::max(a, b); }
constexpr long min(long a, long b) { return std::min(a, b); }
constexpr long max(long a, long b) { return std::max(a, b); }
constexpr long long min(long long a, long long b) { return std::min(a, b); }
constexpr long long max(long long a, long long b) { return std::max(a, b); }
constexpr unsigned long min(unsigned long a, unsigned long b) { return std::min(a, b); }
constexpr unsigned long max(unsigned long a, unsigned long b) { return std::max(a, b); }
// As fminf and fmaxf: of a number and a NaN, the number.
inline float min(float a, float b) { return std::fmin(a, b); }
inline float max(float a, float b) { return std::fmax(a, b); }
inline double min(double a, double b) { return std::fmin(a, b); }
inline double max(double a, double b) { return std::fmax(a, b); }

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
// nvcc may fuse a product with a sum that follows, never these; nor does the compiler through the
// volatile copy.
inline float __fmul_rn(float a, float b) {
  const volatile float product = a * b;
  return product;
}
inline float __fadd_rn(float a, float b) {
  const volatile float sum = a + b;
  return sum;
}
inline float __fsub_rn(float a, float b) {
  const volatile float difference = a - b;
  return difference;
}

constexpr int __float_as_int(float x) { return std::bit_cast<int>(x); }
constexpr unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
constexpr float __int_as_float(int x) { return std::bit_cast<float>(x); }
constexpr float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
constexpr long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
constexpr double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }
inline int __float2int_rn(float x) { return static_cast<int>(std::nearbyint(x)); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
constexpr int __popc(unsigned x) { return std::popcount(x); }
constexpr int __popcll(unsigned long long x) { return std::popcount(x); }
constexpr int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
constexpr int __ffs(int x) { return x == 0 ? 0 : 1 + std::countr_zero(static_cast<unsigned>(x)); }
