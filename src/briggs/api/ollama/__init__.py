"""What clients of Ollama ask for beside the calls of models, below `/api`."""
