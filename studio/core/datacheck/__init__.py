"""Whether data suits a model: what gives away a wrong scale, channel order, layout or labelling."""
