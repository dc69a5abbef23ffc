"""
nsrp_ros: where somebody is talking, in metres, on the map.

A map of the house (an arrow points from the importer to what it imports):

* `node` -> `inputs` -> `sources` -> `samples` (audio of any kind), `microphones` -> `transforms`,
  `room`, `parameters`, `status`, and `pipeline` -> `worker`, `core`: the localizer, a managed
  node, thin;
* `simulated_room` -> `performance`: a room that publishes audio, transforms and the true source;
  the robot that needs no hardware. `demo` runs it beside the node and draws what happened;
* `tracker_node` makes talkers with numbers out of the localizer's maps, `follow_node` targets for
  navigation out of talkers; both declare their parameters by `settings`. `play_audio` plays
  files; `localize_bag` -> `bags` -> `bag_files`, `bag_outputs` localizes bags without ROS;
* `core`: what runs on the robot. Imports no ROS: NumPy, SciPy, torch,
  safetensors and, for `tracking`, Stone Soup.
  `localizer` -> `srp`, `neural_srp`, `backprojection` -> `features`, `correlation`, `estimate`,
  `geometry`, `config`; `weights` reads checkpoints; `window` cuts one stream and `streams`
  several in step, both by `clock`; `ensemble` -> `alignment` hears whose clock is off.
  `backprojector` looks at a window by `quick` (on CPUs) -> `sight`, `view`, `pairs`, or by
  `backprojection` itself, whose parts are `cells` and `layers`. `squares` draws maps, `peaks` and
  `tracking` follow talkers through them, `following` says where to go;
* `training` -> `core`: what makes and judges the models. Imports no ROS either. `speech`, `rooms`
  and `simulation` make scenes, `dataset` keeps them, `train` learns from them (`posterior` and
  `losses`: ours), `ablate` says which idea pays, and `evaluate`, `robustness`, `silence`,
  `regions`, `calibrate`, `measured`, `tracking_scenes` and `bench` judge.

Dimensions, the same everywhere: B batch, M microphones, P = M (M - 1) / 2 pairs, T samples,
N frames, F bins, L lags, G cells a side, K talkers. SI units and radians stand bare; anything
else carries its unit (_db, _deg, _ns, _ms).
"""
