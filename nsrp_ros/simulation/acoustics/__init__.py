"""Room acoustics: image sources, absorption, propagation, late reverberation. No ROS."""
