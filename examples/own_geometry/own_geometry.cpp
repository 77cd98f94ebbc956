// A geometry of one's own: soft balls that move, grow and change colour. docs/own_modules.md walks through
// it.
#include <ATen/ATen.h>
#include <t3d/own_types.h>

namespace {

using namespace t3d;

/// The density is a sum of n Gaussian balls; the features are the balls' own, by their share of the density.
class SoftBalls : public field::Geometry, public field::DensityField, public field::AppearanceField {
 public:
  struct Config {
    float radius = 1;
    int n_balls = 16, n_feature_dims = 3;
    float height = 30;
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("radius", radius, positive(), "half the side of the box");
      v("n_balls", n_balls, in_range(1, 4096), "balls");
      v("n_feature_dims", n_feature_dims, in_range(0, 64), "features for the material");
      v("height", height, positive(), "density in the middle of a ball");
    }
  };
  SoftBalls(const Config& config, const field::BuildContext& context) : config_(config) {
    Rng rng(context.seed);
    auto centres = at::empty({config.n_balls, 3});
    for (int64_t i = 0; i < centres.numel(); ++i) centres.data_ptr<float>()[i] = rng.uniform(-0.5f, 0.5f);
    centres_ = field::learned((config.radius * centres).to(context.device));
    sizes_ = field::learned(at::full({config.n_balls}, std::log(0.2f * config.radius)).to(context.device));
    features_ = field::learned(at::zeros({config.n_balls, config.n_feature_dims}).to(context.device));
  }

  float radius() const override { return config_.radius; }
  /// What the geometry can do: renderers of densities take it, and materials colour it.
  const field::DensityField* density() const override { return this; }
  const field::AppearanceField* appearance() const override { return this; }

  at::Tensor density_at(const at::Tensor& points) const override { return balls(points).sum(-1, true); }
  at::Tensor features_at(const at::Tensor& points) const override {
    if (config_.n_feature_dims == 0) return {};
    const auto parts = balls(points);  // [N,K]
    return at::matmul(parts / parts.sum(-1, true).clamp_min(1e-6), features_);
  }
  field::GeometryOutput samples_at(const at::Tensor& points, bool with_normals) const override {
    field::GeometryOutput out;
    out.density = density_at(points);
    out.features = features_at(points);
    if (with_normals)
      out.normal = out.shading_normal = field::density_normals(
          field::NormalType::FiniteDifference, points, out.density,
          [this](const at::Tensor& x) { return density_at(x); }, 0.01f, radius());
    return out;
  }
  /// What learns, by the names of checkpoints and of optimizer.params.
  void collect(const std::string& prefix, field::NamedTensors& parameters,
               field::NamedTensors&) const override {
    parameters.emplace(prefix + "centres", centres_);
    parameters.emplace(prefix + "sizes", sizes_);
    parameters.emplace(prefix + "features", features_);
  }

 private:
  /// points [N,3] -> densities of the K balls, [N,K]
  at::Tensor balls(const at::Tensor& points) const {
    const auto squares = (points.unsqueeze(1) - centres_).square().sum(-1);  // [N,K]
    return config_.height * (-0.5 * squares / sizes_.exp().square()).exp();
  }

  Config config_;
  at::Tensor centres_, sizes_, features_;  // [K,3], [K] log, [K,F]
};

}  // namespace

T3D_OWN_TYPES(types) {
  types.add<SoftBalls>("soft-balls", "a sum of soft balls");
}
