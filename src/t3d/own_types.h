#pragma once

#include <torch/version.h>

#include <string>
#include <type_traits>

#include "t3d/core/plugin.h"
#include "t3d/data/camera_data.h"
#include "t3d/field/geometry.h"
#include "t3d/guidance/guidance.h"
#include "t3d/guidance/prompt_processor.h"
#include "t3d/optim/make_optimizer.h"
#include "t3d/render/renderer.h"
#include "t3d/shading/background.h"
#include "t3d/shading/material.h"
#include "t3d/system/system.h"

/// Types of your own: a shared object contains, once,
///
///   T3D_OWN_TYPES(types) {
///     types.add<TowardsColour>("towards-colour", "pulls every image towards one colour");
///   }
///
/// and `t3d train --load FILE.so` finds them under these names. docs/own_modules.md walks through it.
namespace t3d {

namespace detail {
template <class T>
auto& family_of() {
  if constexpr (std::is_base_of_v<field::Geometry, T>)
    return field::geometries();
  else if constexpr (std::is_base_of_v<shading::Material, T>)
    return shading::materials();
  else if constexpr (std::is_base_of_v<shading::Background, T>)
    return shading::backgrounds();
  else if constexpr (std::is_base_of_v<render::Renderer, T>)
    return render::renderers();
  else if constexpr (std::is_base_of_v<guidance::Guidance, T>)
    return guidance::guidances();
  else if constexpr (std::is_base_of_v<guidance::PromptProcessor, T>)
    return guidance::prompt_processors();
  else if constexpr (std::is_base_of_v<data::CameraData, T>)
    return data::camera_data();
  else if constexpr (std::is_base_of_v<optim::Optimizer, T>)
    return optim::optimizers();
  else if constexpr (std::is_base_of_v<system::System, T>)
    return system::systems();
  else
    static_assert(
        !std::is_same_v<T, T>,
        "T derives from none of Geometry, Material, Background, Renderer, Guidance, PromptProcessor, "
        "CameraData, Optimizer and System");
}
}  // namespace detail

/// The families' tables, open for the types of one file.
class OwnTypes {
 public:
  explicit OwnTypes(TypeRegistrar& registrar) : registrar_(registrar) {}

  /// The type T under `name`, in the family of its base class. T has a Config with a visit
  /// (core/config/fields.h), and the constructor that the family's table calls: T(const Config&, what
  /// registry.h's Args are there). `help` is a clause for t3d list. Throws UserError for a name that is
  /// taken.
  template <class T>
  void add(const std::string& name, const std::string& help) {
    registrar_.add<T>(detail::family_of<T>(), name, help);
  }

 private:
  TypeRegistrar& registrar_;
};

}  // namespace t3d

#define T3D_DETAIL_TEXT(x) #x
#define T3D_DETAIL_TEXT_OF(x) T3D_DETAIL_TEXT(x)

/// Before the block that registers the file's types, outside of every namespace; `types` is the block's name
/// for its OwnTypes.
#define T3D_OWN_TYPES(types)                                                                               \
  static void t3d_own_types(::t3d::OwnTypes& types);                                                       \
  __attribute__((used)) static const char t3d_own_types_mark[] =                                           \
      "t3d-own-types: api " T3D_DETAIL_TEXT_OF(T3D_API_VERSION) " libtorch " TORCH_VERSION ";";            \
  extern "C" __attribute__((visibility("default"))) void t3d_register_own_types(::t3d::TypeRegistrar& r) { \
    ::t3d::OwnTypes own(r);                                                                                \
    t3d_own_types(own);                                                                                    \
  }                                                                                                        \
  static void t3d_own_types(::t3d::OwnTypes& types)
