package judge

import "math"

// All tails are two-sided and given as -log10 of the probability, so that what is
// next to impossible still has an order.

// normalTail is the tail of a normal variable beyond z standard deviations.
func normalTail(z float64) float64 {
	z = math.Abs(z)
	if z < 30 {
		return -math.Log10(math.Erfc(z / math.Sqrt2))
	}
	return (z*z/2 + math.Log(z*math.Sqrt(math.Pi/2))) / math.Ln10
}

// studentTail is the tail of a Student variable with dof degrees of freedom: of an
// error in units of a scale that was itself estimated. It uses the normal
// approximation of Wallace, "Bounds on normal approximations to Student's and the
// chi-square distributions" (1959), which is off by less than a tenth in the
// logarithm where it matters.
func studentTail(z, dof float64) float64 {
	u := (8*dof + 1) / (8*dof + 3) * math.Sqrt(dof*math.Log1p(z*z/dof))
	return normalTail(u)
}

// chebyshevTail bounds the tail of any distribution with a variance: 1/z². AVH (Tu et
// al., KDD 2023) falls back to it where nothing is known of the distribution.
func chebyshevTail(z float64) float64 {
	return max(0, 2*math.Log10(math.Abs(z)))
}
