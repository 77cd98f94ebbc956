#!/usr/bin/env bash
# Hashes of what short runs of every recipe leave on the CPU: the tensors of checkpoints, meshes, images. A change that
# only moves code leaves them equal, on one machine (kernels differ between processors).
#
#   tests/recipe_hashes.sh PROGRAM MODEL > before.txt    # MODEL: a small Stable Diffusion 1 or 2 in diffusers' layout
#   tests/recipe_hashes.sh OTHER_PROGRAM MODEL | diff before.txt -
#   tests/recipe_hashes.sh PROGRAM MODEL sjc reconstruct # these alone
#
# configs/mvdream.yaml and scaledreamer-mvdream.yaml are left out: no small model in their layout is at hand, and the
# toybox's recipes use the same guidance.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
program=$(readlink -f "$1") model=$(readlink -f "$2")
shift 2
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

run() { # run ARGUMENTS...: what it says is shown only where it fails
  "$program" "$@" >"$work/log" 2>&1 || { echo "failed: t3d $*" >&2; tail -n 20 "$work/log" >&2; exit 1; }
}
hashes() { # hashes NAME FOLDER: of all that holds results; logs, times and films are not among them
  (cd "$2" && find . -type f \( -name '*.safetensors' -o -name '*.png' -o -name '*.obj' -o -name '*.ply' -o -name '*.glb' \) |
    LC_ALL=C sort | xargs -r sha256sum) | sed "s|^\([0-9a-f]\{16\}\)[0-9a-f]*  \./|$1 \1 |"
}

prompt=system.prompt_processor.prompt="a red cube"
tiny=(trainer.max_steps=3 seed=7 data.width=16 data.height=16 data.resolution_milestones=[] data.eval_width=24
  data.eval_height=24 data.n_val_views=1 data.n_test_views=2)
text_to_3d() { # text_to_3d RECIPE KEYS...
  local out="$work/$1"
  run train --config "configs/$1.yaml" --device cpu "$prompt" trial_dir="$out" "${tiny[@]}" "${@:2}"
  # After three steps some fields have no surface: then that is the result.
  "$program" export --config "$out/configs/parsed.yaml" --device cpu resume="$out/ckpts" system.exporter.fmt=obj \
    system.geometry.isosurface_resolution=32 >"$work/log" 2>&1 || echo "$1 no mesh"
  hashes "$1" "$out"
}

recipe() {
  local name=$1 out="$work/$1"
  local sd=(system.prompt_processor.pretrained_model_name_or_path="$model" data.batch_size=1)
  local lora=(system.guidance.pretrained_model_name_or_path_lora="$model")
  case $name in
    toybox*) text_to_3d "$name" ;;
    textmesh) text_to_3d "$name" "${sd[@]}" ;;
    prolificdreamer-patch) text_to_3d "$name" "${sd[@]}" "${lora[@]}" ;;
    prolificdreamer*) text_to_3d "$name" "${sd[@]}" "${lora[@]}" system.renderer.num_samples_per_ray=32 ;;
    dreamfusion | sjc | latentnerf | scaledreamer-sd)
      text_to_3d "$name" "${sd[@]}" system.renderer.num_samples_per_ray=32 ;;
    generate)
      run generate "a red cube" -o "$out" --device cpu --seed 7 --steps 3 --frames 2 --frame-size 32 \
        --mesh-resolution 48 data.width=16 data.height=16 data.resolution_milestones=[]
      hashes "$name" "$out" ;;
    reconstruct)
      run toybox mesh "a red cube" -o "$work/cube.glb"
      run render "$work/cube.glb" -o "$work/views" --res 32 --train-views 12 --val-views 2 --test-views 2 --samples 2
      run reconstruct "$work/views" -o "$out" --device cpu --seed 7 --steps 30 --levels 4 --log2-table 12 \
        --target-samples 4096 --mesh-resolution 32 --video-frames 2 --time-budget 600
      hashes "$name" "$out" ;;
    prior)
      run toybox data -o "$work/data" --objects 4 --res 16 --samples 1
      local own=(data="$work/data" steps=4 batch=4)
      run prior train --config configs/toybox/autoencoder.yaml -o "$out/autoencoder" "${own[@]}" val_images=4 \
        'block_channels=[8,16]' norm_groups=4
      run prior train --config configs/toybox/unet.yaml -o "$out/unet" "${own[@]}" vae="$out/autoencoder/vae" \
        'block_channels=[32,32]' 'n_heads=[2,2]' 'attention=[0,1]' norm_groups=8 'captions=[a red cube]'
      run prior train --config configs/toybox/judge.yaml -o "$out/judge" "${own[@]}" image_size=16 patch_size=8
      hashes "$name" "$out" ;;
    distill2d)
      for method in sds sjc csd asd vsd; do
        run distill2d "a red cube" -o "$out/$method" --device cpu --method $method --steps 3 --particles 1 --views 2 \
          --seed 7
      done
      hashes "$name" "$out" ;;
    *) echo "there is no recipe $name here" >&2; exit 2 ;;
  esac
}

[ $# -gt 0 ] || set -- toybox toybox-sds toybox-asd toybox-vsd toybox-sdf dreamfusion sjc latentnerf textmesh \
  prolificdreamer prolificdreamer-scene prolificdreamer-patch prolificdreamer-neus scaledreamer-sd \
  generate reconstruct prior distill2d
for name in "$@"; do recipe "$name"; done
