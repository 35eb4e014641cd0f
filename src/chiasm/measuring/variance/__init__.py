"""Analysis of variance: which part of a unit's variance each source makes alone, and which part needs several."""
