#include "t3d/field/density_bias.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"
#include "t3d/core/sentence.h"
#include "t3d/core/text.h"

namespace t3d::field {

at::Tensor DensityBias::operator()(const at::Tensor& points) const {
  if (kind.index() == 0) return at::full({points.size(0), 1}, std::get<0>(kind), points.options());
  const auto squared = points.pow(2).sum(-1, true);  // [N,1]
  if (std::get<1>(kind) == "blob_dreamfusion") return scale * at::exp(-0.5 * squared / (std * std));
  return scale * (1 - squared.sqrt() / std);
}

void DensityBias::check(const std::string& where) const {
  if (kind.index() == 0) return;
  const std::string& name = std::get<1>(kind);
  const std::vector<std::string> known = {"blob_dreamfusion", "blob_magic3d", "blob"};
  for (const auto& k : known)
    if (k == name) return;
  throw UserError(cat(where, ": there is no density bias named ", name, end_or_suggestion(name, known),
                      " Use blob_magic3d, blob_dreamfusion or a number."));
}

}  // namespace t3d::field
