"""Every method behind one call, `Localizer.locate`. No ROS."""
