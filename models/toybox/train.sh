#!/usr/bin/env bash
# Makes every part of the toybox prior from nothing, with any number of CUDA cards:
#
#   models/toybox/train.sh WORK     # from the repository's root; WORK takes 12 GB
#
# No stage runs longer than nine minutes: call it again until it says that all is done, and every stage goes on
# where it stopped. What comes out lies in WORK/toybox.
set -euo pipefail
work=${1:?usage: models/toybox/train.sh WORK}
cd "$(dirname "$0")/../.."
limit=540
cards=$(nvidia-smi -L | wc -l)
mkdir -p "$work"

data() { # data NAME OBJECTS SEED SPLIT
  [ -e "$work/$1.done" ] && return
  timeout -s INT $limit ./t3d toybox data -o "$work/$1" --objects "$2" --seed "$3" --split "$4" ||
    { echo "again: data $1 goes on where it stopped"; exit 0; }
  touch "$work/$1.done"
}

train() { # train NAME PROCESSES key=value...
  name=$1 processes=$2
  shift 2
  [ -e "$work/$name.done" ] && return
  [ -d "$work/$name/ckpts" ] && resume=--resume || resume=
  run="prior train --config configs/toybox/$name.yaml val_data=$work/held_out --device cuda -o $work/$name"
  [ "$processes" = 1 ] || run="launch -n $processes -- $run"
  ./t3d $run $resume --time-limit $limit "$@"
  grep -q '"finished": *true' "$work/$name/report.json" 2>/dev/null || { echo "again: $name goes on where it stopped"; exit 0; }
  touch "$work/$name.done"
}

data held_out 200 1 held-out
data train 26250 0 train
data judged 4000 2 train
train autoencoder 1 data="$work/train" steps=5148
train unet "$cards" data="$work/train" vae="$work/autoencoder/vae" backgrounds=3 steps=20000
train judge 1 data="$work/judged" steps=4243

mkdir -p "$work/toybox"
cp -r "$work/unet"/{unet,text_encoder,tokenizer,scheduler,vae,model_index.json} "$work/judge/judge" "$work/toybox/"
echo "all is done: $work/toybox"
