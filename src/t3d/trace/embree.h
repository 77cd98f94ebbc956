#pragma once

// Embree 3 and 4 (CMake looks for 4 first, too) under one pair of calls: version 4 replaced the context of a query by arguments with defaults.
#if __has_include(<embree4/rtcore.h>)
#include <embree4/rtcore.h>
#else
#include <embree3/rtcore.h>
#endif

namespace t3d::trace {

/// The nearest hit along `query`.
inline void embree_intersect(RTCScene scene, RTCRayHit& query) {
#if RTC_VERSION_MAJOR >= 4
  rtcIntersect1(scene, &query);
#else
  RTCIntersectContext context;
  rtcInitIntersectContext(&context);
  rtcIntersect1(scene, &context, &query);
#endif
}

/// Sets the ray's tfar to -inf when anything lies on it.
inline void embree_occluded(RTCScene scene, RTCRay& query) {
#if RTC_VERSION_MAJOR >= 4
  rtcOccluded1(scene, &query);
#else
  RTCIntersectContext context;
  rtcInitIntersectContext(&context);
  rtcOccluded1(scene, &context, &query);
#endif
}

}  // namespace t3d::trace
