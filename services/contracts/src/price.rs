//! Prices: at most 14 digits, two of them decimals, not negative.
//!
//! Clients may write them in any way a decimal can be written (`12.5`, `1e3`,
//! `+.5`, `1_000`), so digits are counted here before a number type sees them.

use rust_decimal::Decimal;

use crate::json::trimmed;

const MAX_DIGITS: usize = 14;
const MAX_DECIMAL_PLACES: usize = 2;
const MAX_WHOLE_DIGITS: usize = MAX_DIGITS - MAX_DECIMAL_PLACES;
/// Longer texts are not even looked at.
const MAX_TEXT_CHARS: usize = 1000;

const NOT_A_NUMBER: &str = "A valid number is required.";

/// Reads a price; the error is the field's message.
pub fn read(text: &str) -> Result<Decimal, &'static str> {
    let text = trimmed(text);
    if text.chars().count() > MAX_TEXT_CHARS {
        return Err("String value too large.");
    }
    let written = Written::parse(&text.replace('_', "")).ok_or(NOT_A_NUMBER)?;
    let (total, places) = written.counts();
    if total > MAX_DIGITS {
        return Err("Ensure that there are no more than 14 digits in total.");
    }
    if places > MAX_DECIMAL_PLACES {
        return Err("Ensure that there are no more than 2 decimal places.");
    }
    if total - places > MAX_WHOLE_DIGITS {
        return Err("Ensure that there are no more than 12 digits before the decimal point.");
    }
    let cents = written.cents().ok_or(NOT_A_NUMBER)?;
    if written.negative && cents != 0 {
        return Err("Ensure this value is greater than or equal to 0.");
    }
    Ok(Decimal::new(cents, 2))
}

/// A number as digits times a power of ten.
struct Written {
    negative: bool,
    /// Without leading zeros, but never empty.
    digits: String,
    exponent: i64,
}

impl Written {
    fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{decimals}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = digits.trim_start_matches('0');
        Some(Self {
            negative: text.starts_with('-'),
            digits: if significant.is_empty() {
                "0"
            } else {
                significant
            }
            .to_owned(),
            exponent: exponent - i64::try_from(decimals.len()).ok()?,
        })
    }

    /// Digits in total, and how many of them are decimals.
    fn counts(&self) -> (usize, usize) {
        let shift = usize::try_from(self.exponent.unsigned_abs()).unwrap_or(usize::MAX);
        if self.exponent >= 0 {
            (self.digits.len().saturating_add(shift), 0)
        } else {
            (self.digits.len().max(shift), shift)
        }
    }

    /// The amount in hundredths; the counts were checked, so it fits.
    fn cents(&self) -> Option<i64> {
        let digits: i64 = self.digits.parse().ok()?;
        let power = u32::try_from(self.exponent + 2).ok()?;
        digits.checked_mul(10_i64.checked_pow(power)?)
    }
}

fn parse_exponent(text: &str) -> Option<i64> {
    /// No exponent of more digits is a number to Python either.
    const MAX_EXPONENT_DIGITS: usize = 18;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let significant = digits.trim_start_matches('0');
    if !plain || significant.len() > MAX_EXPONENT_DIGITS {
        return None;
    }
    let exponent: i64 = if significant.is_empty() {
        0
    } else {
        significant.parse().ok()?
    };
    Some(if text.starts_with('-') {
        -exponent
    } else {
        exponent
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_price() {
        let table = [
            ("12500.00", "12500.00"),
            ("0", "0.00"),
            ("-0", "0.00"),
            ("-0.00", "0.00"),
            (" 7\n", "7.00"),
            ("+.5", "0.50"),
            ("5.", "5.00"),
            ("00012.50", "12.50"),
            ("1e3", "1000.00"),
            ("1E-2", "0.01"),
            ("1.50e+1", "15.00"),
            ("1_000", "1000.00"),
            ("999999999999.99", "999999999999.99"),
        ];
        for (text, price) in table {
            assert_eq!(
                read(text).map(|price| format!("{price:.2}")).as_deref(),
                Ok(price)
            );
        }
    }

    #[test]
    fn every_message() {
        let table = [
            ("", NOT_A_NUMBER),
            ("abc", NOT_A_NUMBER),
            ("True", NOT_A_NUMBER),
            ("NaN", NOT_A_NUMBER),
            ("Infinity", NOT_A_NUMBER),
            ("-inf", NOT_A_NUMBER),
            ("1,5", NOT_A_NUMBER),
            ("--1", NOT_A_NUMBER),
            ("1.2.3", NOT_A_NUMBER),
            ("1e", NOT_A_NUMBER),
            ("1e1e1", NOT_A_NUMBER),
            (".", NOT_A_NUMBER),
            ("1e9999999999999999999", NOT_A_NUMBER),
            (
                "123456789012345",
                "Ensure that there are no more than 14 digits in total.",
            ),
            (
                "1e14",
                "Ensure that there are no more than 14 digits in total.",
            ),
            (
                "0e99",
                "Ensure that there are no more than 14 digits in total.",
            ),
            (
                "1e999999999999999999",
                "Ensure that there are no more than 14 digits in total.",
            ),
            (
                "0.000000000000001",
                "Ensure that there are no more than 14 digits in total.",
            ),
            (
                "1.234",
                "Ensure that there are no more than 2 decimal places.",
            ),
            (
                "1.000",
                "Ensure that there are no more than 2 decimal places.",
            ),
            (
                "-1.234",
                "Ensure that there are no more than 2 decimal places.",
            ),
            (
                "1234567890123",
                "Ensure that there are no more than 12 digits before the decimal point.",
            ),
            (
                "1234567890123.4",
                "Ensure that there are no more than 12 digits before the decimal point.",
            ),
            ("-0.01", "Ensure this value is greater than or equal to 0."),
            ("-1", "Ensure this value is greater than or equal to 0."),
        ];
        for (text, message) in table {
            assert_eq!(read(text), Err(message), "{text}");
        }
        assert_eq!(read(&"1".repeat(1001)), Err("String value too large."));
    }
}
