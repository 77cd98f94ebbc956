#!/bin/sh
# Stands in for t3d where the commands of the documentation are run: the same command with the smallest sizes.
# T3D_REAL is the program. Options that are named here replace the command's own.
set -eu
all_arguments="$*"
command=${1:-} pair="${1:-} ${2:-}"
drop= add=
case "$pair" in
  "test --config") add="data.n_test_views=1 data.eval_width=8 data.eval_height=8" ;;
  "toybox data") drop="--objects --res --samples --phrases --orbit-views" add="--objects 4 --res 32 --samples 1" ;;
  "toybox sheet") drop="--res" add="--res 16" ;;
  "prior train") drop="--device" add="steps=2 batch=8" ;;
  "evaluate samples") drop="-n --views" add="-n 2 --steps 1 --views 1 --truths 1 --candidates 3 --res 16" ;;
  "evaluate objects") add="--views 2 --truths 1 --candidates 3 --res 16" ;;
  *)
    tiny="data.width=8 data.height=8 system.renderer.num_samples_per_ray=16 system.geometry.pos_encoding_config.log2_hashmap_size=8"
    case "$command" in
      test | doctor) exec "$T3D_REAL" "$command" --help ;; # not the tests within the tests
      generate) drop="--steps" add="--frames 2 --frame-size 16 --mesh-resolution 32 --device cpu --steps 1 $tiny" ;;
      train | validate | export | --config)
        drop="--gpu" add="--device cpu data.eval_width=8 data.eval_height=8 data.n_test_views=1 data.n_val_views=1"
        case "$all_arguments" in *resume=*) ;; *) add="$add trainer.max_steps=1 $tiny" ;; esac ;;
      sample) drop="--steps" add="--steps 1" ;;
      distill2d) drop="--steps --particles" add="--steps 1 --particles 1 --device cpu" ;;
      render)
        drop="--res --samples --train-views --val-views --test-views"
        add="--res 16 --samples 1 --train-views 2 --val-views 1 --test-views 1" ;;
      reconstruct)
        drop="--time-budget --steps --device" add="--device cpu --no-mesh --video-frames 2"
        case "$all_arguments" in *--resume*) add="$add --steps 4" ;; *) add="$add --steps 2" ;; esac ;;
    esac ;;
esac
case "$pair $all_arguments" in
  "prior train"*autoencoder.yaml*) add="$add val_images=2" ;;
  "prior train"*unet.yaml*) add="$add batch=4 val_objects=1 backgrounds=1 captions=[]" ;;
  "prior train"*judge.yaml*) add="$add val_objects=2 candidates=2" ;;
esac
case "$command $all_arguments" in
  generate*--refine*)
    add="$add refine:trainer.max_steps=1 refine:data.width=16 refine:data.height=16 refine:system.geometry.isosurface_resolution=16" ;;
esac
# Going on is with more steps.
case "$command $all_arguments" in generate*--resume*) add=$(printf %s "$add" | sed 's/--steps 1/--steps 2/') ;; esac
# Those options and their values, then the small ones.
n=$#
while [ "$n" -gt 0 ]; do
  word=$1
  shift
  n=$((n - 1))
  case " $drop " in
    *" $word "*) shift && n=$((n - 1)) ;; # and its value
    *) set -- "$@" "$word" ;;
  esac
done
exec "$T3D_REAL" "$@" $add
