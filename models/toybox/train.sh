#!/usr/bin/env bash
# Makes every part of the toybox prior from nothing, with one CUDA card or several:
#
#   models/toybox/train.sh WORK [SECONDS]     # from the repository's root; WORK takes 10 GB
#
# Stopped, or out of SECONDS, it goes on where it was when it is called again. The processor renders the next stage's
# data while the card trains. What comes out lies in WORK/toybox.
set -euo pipefail
work=${1:?usage: models/toybox/train.sh WORK [SECONDS]}
cd "$(dirname "$0")/../.."
t3d=${T3D:-./t3d}
end=$((SECONDS + ${2:-1000000}))
cards=$(nvidia-smi -L | wc -l)
threads=$(($(nproc) - 2 * cards))
mkdir -p "$work"
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT

is_done() { [ -e "$work/$1.done" ]; }
left() { echo $((end - SECONDS > 1 ? end - SECONDS : 1)); }

data() { # data NAME OBJECTS SEED SPLIT
  is_done "$1" && return
  timeout -s INT "$(left)" "$t3d" toybox data -o "$work/$1" --objects "$2" --seed "$3" --split "$4" \
    --jobs $((threads > 1 ? threads : 1)) && touch "$work/$1.done"
}

train() { # train NAME PROCESSES key=value...
  local name=$1 processes=$2 resume= launch=
  shift 2
  is_done "$name" && return
  [ -d "$work/$name/ckpts" ] && resume=--resume
  [ "$processes" = 1 ] || launch="launch -n $processes --"
  "$t3d" $launch prior train --config "configs/toybox/$name.yaml" val_data="$work/held_out" --device cuda \
    -o "$work/$name" $resume --time-limit "$(left)" "$@"
  grep -q '"finished": *true' "$work/$name/report.json" 2>/dev/null && touch "$work/$name.done"
}

# together DATA TRAINING: both at once, and whether both are done.
together() {
  local ok=0
  $1 & local rendering=$!
  $2 || ok=1
  wait $rendering || ok=1
  [ $ok = 0 ] || { echo "call it again: not all is done"; exit 0; }
}

first_data() { data held_out 200 1 held-out && data first 5000 0 train; }
train_data() {
  is_done train && return
  [ -d "$work/train" ] || cp -rl "$work/first" "$work/train" # the same objects, and more
  data train 20000 0 train
}
judge_data() { data judged 12000 2 train; }
autoencoder() { train autoencoder 1 data="$work/first" steps=5000; }
unet() { train unet "$cards" data="$work/train" vae="$work/autoencoder/vae" backgrounds=3 steps=20000; }
judge() { train judge 1 data="$work/judged" steps=5000; }

together first_data true
together train_data autoencoder
together judge_data unet
together true judge

rm -rf "$work/toybox" && mkdir "$work/toybox"
cp -r "$work/unet"/{unet,text_encoder,tokenizer,scheduler,vae,model_index.json} "$work/judge/judge" "$work/toybox/"
echo "all is done: $work/toybox"
