"""Numbers from counts and samples: informations, nulls, intervals. numpy only."""
