"""One book over several venues: exposures net, margins do not, and money moves between them at a cost."""
