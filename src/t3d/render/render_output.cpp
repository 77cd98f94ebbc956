#include "t3d/render/render_output.h"

#include <iterator>

#include "t3d/core/error.h"

namespace t3d::render {
namespace {

struct OwnField {
  const char* name;
  FieldOf of;
  at::Tensor RenderOutput::*member;
};
constexpr OwnField kOwnFields[] = {
    {"comp_rgb", FieldOf::Pixels, &RenderOutput::comp_rgb},
    {"comp_rgb_fg", FieldOf::Pixels, &RenderOutput::comp_rgb_fg},
    {"comp_rgb_bg", FieldOf::Pixels, &RenderOutput::comp_rgb_bg},
    {"opacity", FieldOf::Pixels, &RenderOutput::opacity},
    {"depth", FieldOf::Pixels, &RenderOutput::depth},
    {"z_variance", FieldOf::Pixels, &RenderOutput::z_variance},
    {"comp_normal", FieldOf::Pixels, &RenderOutput::comp_normal},
    {"weights", FieldOf::Samples, &RenderOutput::weights},
    {"t_points", FieldOf::Samples, &RenderOutput::t_points},
    {"t_intervals", FieldOf::Samples, &RenderOutput::t_intervals},
    {"points", FieldOf::Samples, &RenderOutput::points},
    {"t_dirs", FieldOf::Samples, &RenderOutput::t_dirs},
    {"normal_perturb", FieldOf::Samples, &RenderOutput::normal_perturb},
    {"ray_indices", FieldOf::Rays, &RenderOutput::ray_indices},
    {"inv_std", FieldOf::All, &RenderOutput::inv_std},
    {"mesh_vertices", FieldOf::All, &RenderOutput::mesh_vertices},
    {"mesh_faces", FieldOf::All, &RenderOutput::mesh_faces},
};
static_assert(sizeof(RenderOutput) ==
                  std::size(kOwnFields) * sizeof(at::Tensor) + sizeof(field::GeometryOutput),
              "a tensor of RenderOutput is missing in kOwnFields");

}  // namespace

const std::vector<OutputField>& output_fields() {
  static const std::vector<OutputField> all = [] {
    std::vector<OutputField> fields;
    for (const OwnField& own : kOwnFields)
      fields.push_back(
          {own.name, own.of, [&own](RenderOutput& out) -> at::Tensor& { return out.*own.member; }});
    for (const auto& part : field::kGeometryFields)
      fields.push_back({std::string("geometry.") + part.name, FieldOf::Samples,
                        [&part](RenderOutput& out) -> at::Tensor& { return out.geometry.*part.member; }});
    return fields;
  }();
  return all;
}

const OutputField& output_field(const std::string& name) {
  for (const OutputField& field : output_fields())
    if (field.name == name) return field;
  T3D_CHECK(false, "a rendering has no field ", name);
}

}  // namespace t3d::render
