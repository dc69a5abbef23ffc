"""Speech of simulated talkers: recorded prompts, folders of audio, synthetic voices."""
