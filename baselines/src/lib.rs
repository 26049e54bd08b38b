//! What normal looks like.
