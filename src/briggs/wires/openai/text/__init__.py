"""OpenAI's older text completions: `/v1/completions`, in both directions."""
