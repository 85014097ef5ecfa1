int dft_cwire_placeholder;
