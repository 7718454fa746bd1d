//! Service laws as a person writes them on a command line: `exponential:10ms`.

use crate::traffic::Law;
use crate::units::{Quantity, QuantityError, Ratio, Span};

/// The forms that [`parse_law`] reads, for help texts.
pub const LAW_FORMS: &str = "10ms, uniform:100ms..500ms, exponential:10ms, log-normal:10ms,SIGMA, \
                             pareto:10ms,ALPHA, bimodal:5ms,100ms,10%";

/// What is wrong with a law as written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LawError {
    /// No such form.
    #[error("`{0}` is not a law; the forms are {LAW_FORMS}")]
    Unknown(String),
    /// A part cannot be read.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    /// A part is out of its range.
    #[error("`{text}`: {why}")]
    Range {
        /// As written.
        text: String,
        /// What must hold.
        why: &'static str,
    },
}

/// Reads a law of durations; a plain duration is a constant.
///
/// # Errors
/// When the form is unknown or a parameter is out of its range.
pub fn parse_law(text: &str) -> Result<Law, LawError> {
    let unknown = || LawError::Unknown(text.to_owned());
    let require = |holds: bool, why| {
        if holds { Ok(()) } else { Err(LawError::Range { text: text.to_owned(), why }) }
    };
    let Some((name, rest)) = text.split_once(':') else {
        return Ok(Law::Constant(Span::parse(text)?));
    };
    let parts: Vec<&str> = rest.split(if name == "uniform" { ".." } else { "," }).collect();
    let number = |part: &str| part.trim().parse::<f64>().map_err(|_| unknown());
    match (name, parts.as_slice()) {
        ("constant", [value]) => Ok(Law::Constant(Span::parse(value)?)),
        ("exponential", [mean]) => Ok(Law::Exponential { mean: Span::parse(mean)? }),
        ("uniform", [low, high]) => {
            let (low, high) = (Span::parse(low)?, Span::parse(high)?);
            require(low <= high, "the lower bound is above the upper one")?;
            Ok(Law::Uniform { low, high })
        }
        ("log-normal", [mean, sigma]) => {
            let sigma = number(sigma)?;
            require(sigma.is_finite() && sigma > 0.0, "sigma must be positive")?;
            Ok(Law::LogNormal { mean: Span::parse(mean)?, sigma })
        }
        ("pareto", [mean, alpha]) => {
            let alpha = number(alpha)?;
            require(
                alpha.is_finite() && alpha > 1.0,
                "alpha must be above 1, or there is no mean",
            )?;
            Ok(Law::Pareto { mean: Span::parse(mean)?, alpha })
        }
        ("bimodal", [fast, slow, share]) => {
            let (fast, slow, share) =
                (Span::parse(fast)?, Span::parse(slow)?, Ratio::parse(share)?);
            require(fast <= slow, "the rare value is below the usual one")?;
            require(share.0 <= 1.0, "the share is above 100%")?;
            Ok(Law::Bimodal { fast, slow, slow_share: share.0 })
        }
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_in_the_help_is_read() {
        let ms = Span::from_millis;
        for (text, law) in [
            ("10ms", Law::Constant(ms(10))),
            ("uniform:100ms..500ms", Law::Uniform { low: ms(100), high: ms(500) }),
            ("exponential:10ms", Law::Exponential { mean: ms(10) }),
            ("log-normal:10ms,1.5", Law::LogNormal { mean: ms(10), sigma: 1.5 }),
            ("pareto:10ms,2.5", Law::Pareto { mean: ms(10), alpha: 2.5 }),
            ("bimodal:5ms,100ms,10%", Law::Bimodal { fast: ms(5), slow: ms(100), slow_share: 0.1 }),
        ] {
            assert_eq!(parse_law(text), Ok(law), "{text}");
        }
    }

    #[test]
    fn a_wrong_law_says_what_is_wrong() {
        for (text, word) in [
            ("gaussian:10ms", "the forms are"),
            ("uniform:5ms", "the forms are"),
            ("uniform:5ms..1ms", "above the upper"),
            ("pareto:10ms,1", "above 1"),
            ("log-normal:10ms,NaN", "sigma"),
            ("exponential:10", "unit is missing"),
            ("bimodal:1ms,2ms,150%", "100%"),
        ] {
            let message = parse_law(text).unwrap_err().to_string();
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
