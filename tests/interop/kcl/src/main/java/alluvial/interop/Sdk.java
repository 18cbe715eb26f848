package alluvial.interop;

public final class Sdk { public static void main(String[] a) {} }
