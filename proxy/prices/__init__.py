"""Where prices come from: configuration, the providers' own lists, published list prices."""
