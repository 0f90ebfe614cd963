// SPDX-License-Identifier: Apache-2.0
#pragma once
// Short vectors with the toolkit's names, sizes and alignments.

#define EMULATED_VECTOR_2(name, scalar, alignment) \
  struct alignas(alignment) name {                 \
    scalar x, y;                                   \
  };                                               \
  constexpr name make_##name(scalar x, scalar y) { return {x, y}; }
#define EMULATED_VECTOR_4(name, scalar, alignment) \
  struct alignas(alignment) name {                 \
    scalar x, y, z, w;                             \
  };                                               \
  constexpr name make_##name(scalar x, scalar y, scalar z, scalar w) { return {x, y, z, w}; }

EMULATED_VECTOR_2(char2, signed char, 2)
EMULATED_VECTOR_2(uchar2, unsigned char, 2)
EMULATED_VECTOR_2(short2, short, 4)
EMULATED_VECTOR_2(ushort2, unsigned short, 4)
EMULATED_VECTOR_2(int2, int, 8)
EMULATED_VECTOR_2(uint2, unsigned int, 8)
EMULATED_VECTOR_2(float2, float, 8)
EMULATED_VECTOR_2(longlong2, long long, 16)
EMULATED_VECTOR_2(ulonglong2, unsigned long long, 16)
EMULATED_VECTOR_2(double2, double, 16)
EMULATED_VECTOR_4(char4, signed char, 4)
EMULATED_VECTOR_4(uchar4, unsigned char, 4)
EMULATED_VECTOR_4(short4, short, 8)
EMULATED_VECTOR_4(ushort4, unsigned short, 8)
EMULATED_VECTOR_4(int4, int, 16)
EMULATED_VECTOR_4(uint4, unsigned int, 16)
EMULATED_VECTOR_4(float4, float, 16)

#undef EMULATED_VECTOR_2
#undef EMULATED_VECTOR_4

struct int3 {
  int x, y, z;
};
struct uint3 {
  unsigned int x, y, z;
};
struct float3 {
  float x, y, z;
};
constexpr int3 make_int3(int x, int y, int z) { return {x, y, z}; }
constexpr uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
constexpr float3 make_float3(float x, float y, float z) { return {x, y, z}; }

struct dim3 {
  unsigned int x, y, z;
  constexpr dim3(unsigned int size_x = 1, unsigned int size_y = 1, unsigned int size_z = 1)
      : x(size_x), y(size_y), z(size_z) {}
  constexpr dim3(uint3 sizes) : x(sizes.x), y(sizes.y), z(sizes.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};
