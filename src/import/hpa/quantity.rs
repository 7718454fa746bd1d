//! Kubernetes' quantities (`k8s.io/apimachinery/pkg/api/resource`): a decimal number with a suffix.

/// Reads a quantity such as `100m`, `2`, `1.5k`, `3Ki` or `1e3`; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let text = text.trim();
    let suffix = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix));
    let (number, factor) = match suffix {
        Some((suffix, factor)) => (text.strip_suffix(suffix)?, *factor),
        None => (text, 1.0),
    };
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    if number.is_empty() || !number.chars().all(plain) {
        return None;
    }
    let number: f64 = number.parse().ok()?;
    // Dividing by a thousand gives the number nearest to what is written, multiplying not always.
    let value = if factor < 1.0 { number / (1.0 / factor).round() } else { number * factor };
    value.is_finite().then_some(value)
}

/// Writes a positive value as a quantity, in whole thousandths as the HPA counts, rounded up.
pub(super) fn show(value: f64) -> String {
    let thousandths = libm::ceil((value * 1e9).round() / 1e6) as u64;
    if thousandths.is_multiple_of(1000) {
        (thousandths / 1000).to_string()
    } else {
        format!("{thousandths}m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_does() {
        let read = ["100m", "2", "1.5k", "3Ki", "1e3", "500", "x", "", "1 m", "--1"].map(parse);
        let some = [0.1, 2.0, 1500.0, 3072.0, 1000.0, 500.0].map(Some);
        assert_eq!(read[..6], some);
        assert_eq!(read[6..], [None; 4]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for thousandths in 1..5000_u64 {
            let value = thousandths as f64 / 1000.0;
            assert_eq!(parse(&show(value)), Some(value), "{thousandths}");
        }
    }
}
