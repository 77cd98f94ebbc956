#pragma once

#include <c10/core/Device.h>

#include <string>

namespace t3d::api {

/// "auto", "cpu" or "cuda". Throws SystemError for cuda where there is none, UserError for another name.
c10::Device device_named(const std::string& name);

}  // namespace t3d::api
