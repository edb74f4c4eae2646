"""Updates become a global adapter, and that a client's starting point: a file for each method; `kinds` names them."""
