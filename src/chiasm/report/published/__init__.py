"""Published curves and histograms beside a study's own, point by point."""
