"""Running, labelling and keeping: trajectories as xarray data sets."""
