"""Where the time goes: layers before and after, why one is slower, and the stages around inference."""
