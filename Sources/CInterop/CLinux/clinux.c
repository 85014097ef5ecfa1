int dft_clinux_placeholder;
