"""The paper's claims, each beside what a study measured, its control, its interval and a verdict."""
