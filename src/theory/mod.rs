//! Closed forms that the model is held against, each with its source.
