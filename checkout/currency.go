package checkout

// decimals lists the currencies (ISO 4217) whose minor unit is not a hundredth.
var decimals = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0,
	"UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}

// Decimals is how many digits of an amount in minor units stand behind the point. The
// code of the currency is in upper case.
func Decimals(currency string) int {
	const hundredths = 2
	if n, known := decimals[currency]; known {
		return n
	}
	return hundredths
}
