//! Results for people and machines: terminal, JSON, charts.
