"""
nsrp_ros: where somebody is talking, in metres, on the map.

A map of the house (an arrow points from the importer to what it imports):

* The localizer, a managed node, thin: `node` -> `inputs` -> `sources` -> `samples`, `pace` (audio
  of any kind, and whether it is what it claims to be), `microphones` -> `transforms`, `room`,
  `parameters`, `status`, and `pipeline` -> `worker`, `core`. What goes out is made by `messages`.
* Behind it: `tracker_node` makes talkers with numbers out of the localizer's maps, `follow_node`
  targets for navigation out of talkers; their messages are made by `talker_messages`, and `health`
  says how they are.
* What all nodes share: `settings` declares parameters from dataclasses, `process` is how a node
  lives and ends, `stamps` are times, `distributions` is what differs from Humble to Rolling.
* Robots that need no hardware: `simulated_room` -> `performance` publishes audio, transforms and
  the true source, `play_audio` plays files.
* Bags, without ROS: `localize_bag` -> `bag_options`, `bags` -> `bag_files`, `bag_types`,
  `bag_transforms`, `bag_outputs`.
* Commands that watch nodes from outside (`node_process`, `process_meter`): `demo` ->
  `demo_observer`, `demo_pictures`; `endurance` -> `endurance_stage`, `endurance_ledger`,
  `endurance_report` is the long run.
* `core`: what runs on the robot. Imports no ROS: NumPy, SciPy, torch, safetensors and, for
  `tracking`, Stone Soup.
  `localizer` -> `srp`, `neural_srp`, `backprojection` -> `features`, `correlation`, `estimate`,
  `geometry`, `config`; `weights` reads checkpoints, which `model_files` finds; `window` cuts one
  stream and `streams` several in step, both by `clock`; `ensemble` -> `alignment` hears whose
  clock is off.
  `backprojector` looks at a window by `quick` (on CPUs, with `shortcuts`) -> `quick_correlation`,
  `quick_projection` (-> `sight`), `quick_reading`, `view` and `pairs`, or by `backprojection`
  itself, whose parts are `cells` and `layers`; `looks` makes an estimate of it. The same without
  torch: `onnx_backprojection` -> `onnx_file`, `onnx_hearing`, `onnx_sight`. Where there is Numba,
  both hear by `compiled_correlation` -> `kernels`, and without torch `onnx_kernels` gather what
  cells hear. All cut `frames` alike, and find a cell's `neighbours` alike.
  `squares` draws maps, `peaks` and `tracking` follow talkers through them, `following` says
  where to go.
* `training` -> `core`: what makes and judges the models. Imports no ROS either.
  Scenes: `scenes`, kept by `dataset` in `scene_files`, are made by `simulation` of `rooms` and
  `speech` (`prompts`, `synthetic_talker`), or `recorded`. The ideal ones: `image_sources`,
  `impulses`, `responses`, `reference`, `shaped_rooms`. The `presets` of `realism` add to them
  `paths`, `walls`, `furniture`, `air`, `tail`, `directivity` (in `bands`), `mounting`, `devices`,
  `motion`, `noise`, `babble` and `diffuse`. `conversations` last longer than windows.
  Learning: `train` -> `recipe` -> `stages` -> `batches`, and `learning` -> `targets`, `posterior`,
  `losses`, from nothing or by `inherit`; `ablate` says which idea pays, `tune_srp` what SRP can
  do; `export_onnx` lets a robot do without torch.
  Judging: `evaluate`, `robustness` (-> `trials`, `conditions`), `silence` (-> `quiet_windows`,
  `detection`), `regions`, `calibrate`, `measured` and `tracking_scenes` (-> `tracking_scores`), by
  `scoring` -> `metrics`, `remember`, `plots`, beside what is `published` and `ngcc_phat`
  (-> `ngcc_clone`); `bench` (-> `bench_report`), `bench_gpu` (both -> `machine`) and
  `bench_simulation` say how long things take.

Dimensions, the same everywhere: B batch, M microphones, P = M (M - 1) / 2 pairs, T samples,
N frames, F bins, L lags, G cells a side, K talkers. SI units and radians stand bare; anything
else carries its unit (_db, _deg, _ns, _ms).
"""
