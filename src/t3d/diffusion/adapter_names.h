#pragma once

#include <map>
#include <string>
#include <vector>

#include "t3d/diffusion/weights.h"

namespace t3d::diffusion {

/// What of a diffusion model an adapter file changes.
enum class AdaptedPart { UNet, TextEncoder };

/// What a tensor is to its layer. Lora: kohya, PEFT, diffusers, LoCon; Hada: LoHa; Lokr: LoKr (LyCORIS).
enum class AdapterRole {
  Down,
  Up,
  Mid,
  UpBias,
  Alpha,
  HadaW1A,
  HadaW1B,
  HadaW2A,
  HadaW2B,
  HadaT1,
  HadaT2,
  LokrW1,
  LokrW1A,
  LokrW1B,
  LokrW2,
  LokrW2A,
  LokrW2B,
  LokrT2,
  DoraScale,  ///< LyCORIS and kohya: one number a row, or a column
  Magnitude,  ///< PEFT: one number a row
  Diff,       ///< the change of the whole weight
  DiffBias,   ///< and of the bias
};

/// A tensor's name in its parts.
struct AdapterName {
  AdaptedPart part = AdaptedPart::UNet;
  std::string
      layer;  ///< with dots as in the model, or with underscores as kohya writes them; see AdapterLayers
  AdapterRole role = AdapterRole::Down;
};

/// Reads a tensor's name in any of the namings of docs/lora.md. False for other names; then `problem` says
/// what the name is of, where that is known ("of IA3, which is not read").
bool parse_adapter_name(const std::string& name, AdapterName& out, std::string& problem);

/// Tensors that may be in such a file and change no layer (an embedding that kohya bundles).
bool is_beside_adapter(const std::string& name);

/// The layers of one part of a model by all names that adapter files have for them: diffusers' and, of a
/// UNet, ldm's, with dots or underscores.
class AdapterLayers {
 public:
  AdapterLayers(const TensorSource& model, AdaptedPart part);
  /// The model's name without ".weight"; empty for a layer that the model does not have.
  std::string find(const std::string& layer) const;
  /// "; did you mean x?", in the form that the file writes, or nothing.
  std::string suggestion(const std::string& layer) const;

 private:
  void add(const std::string& name, const std::string& layer);
  std::map<std::string, std::string> layers_;
};

}  // namespace t3d::diffusion
